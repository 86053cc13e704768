"""Every shipped query is portable SPARQL 1.1: it runs, as it is, on another engine than Wikidata's."""

from importlib import resources
from pathlib import Path

import pyoxigraph
import pytest

from wiki_sync import WikiConfig
from wiki_sync.sparql import checked_qid, filled_query, items_in_query, languages_in_query, text_in_query

CONFIG = WikiConfig(
    api_url="https://commons.wikimedia.org/w/api.php",
    sparql_urls=(),
    user_agent="IconesTest/0 (test@example.org)",
    state_dir=Path("unused"),
)
ITEMS = items_in_query(CONFIG, ["Q1", "Q2"])
VALUES = {
    "taxon_facts": {"items": ITEMS},
    "taxon_names": {"items": ITEMS, "languages": languages_in_query(["nl", "en"])},
    "taxon_authors": {"items": ITEMS},
    "ancestors": {"items": ITEMS},
    "taxa_below": {"items": ITEMS},
    "taxa_redirects": {"items": items_in_query(CONFIG, ["Q11", "Q12", "Q21"])},
    "taxa_synonyms": {"items": items_in_query(CONFIG, ["Q2", "Q4", "Q7"])},
    "collection_files": {
        "item": items_in_query(CONFIG, ["Q190804"]),
        "collection": "P195",
        "number": "P217",
        "limit": "10",
        "offset": "0",
    },
    "changed_files": {"moment": "2026-01-01T00:00:00Z", "limit": "10", "offset": "0"},
    "taxa_by_name": {"names": text_in_query("Aus bus")},
    "taxa_by_identifier": {"ids": text_in_query("2481139"), "property": "P846"},
    "taxa_of_old_names": {"items": items_in_query(CONFIG, ["Q2", "Q4"])},
}
TRIPLES = """
@prefix wd: <http://www.wikidata.org/entity/> . @prefix wdt: <http://www.wikidata.org/prop/direct/> .
@prefix p: <http://www.wikidata.org/prop/> . @prefix ps: <http://www.wikidata.org/prop/statement/> .
@prefix pq: <http://www.wikidata.org/prop/qualifier/> . @prefix wikibase: <http://wikiba.se/ontology#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix s: <http://www.wikidata.org/entity/statement/> .
wd:Q1 wdt:P225 "Aus" ; wdt:P171 wd:Q3 ; rdfs:label "aus"@en , "oz"@it .
wd:Q3 wdt:P225 "Aidae" ; wdt:P171 wd:Q1 .
wd:Q2 wdt:P225 "Aus bus" ; wdt:P105 wd:Q7432 ; wdt:P171 wd:Q1 , wd:Q8 ; p:P225 s:a , s:b .
wd:Q7432 rdfs:label "species"@en , "soort"@nl .
s:a ps:P225 "Aus bus" ; wikibase:rank wikibase:NormalRank ; pq:P405 wd:Q9 ; pq:P697 wd:Q10 .
s:b ps:P225 "Aus wrong" ; wikibase:rank wikibase:DeprecatedRank ; pq:P405 wd:Q9 .
wd:Q9 wdt:P835 "Author" ; rdfs:label "A. Author"@en . wd:Q10 wdt:P428 "Ex." .
wd:Q2 wikibase:sitelinks 3 . wd:Q2 p:P171 s:c , s:d , s:e .
s:c ps:P171 wd:Q1 ; wikibase:rank wikibase:PreferredRank . s:d ps:P171 wd:Q15 ; wikibase:rank wikibase:NormalRank .
s:e ps:P171 wd:Q16 ; wikibase:rank wikibase:DeprecatedRank .
wd:Q4 p:P1420 s:f , s:g . s:f ps:P1420 wd:Q2 ; wikibase:rank wikibase:NormalRank .
s:g ps:P1420 wd:Q5 ; wikibase:rank wikibase:DeprecatedRank .
wd:Q11 <http://www.w3.org/2002/07/owl#sameAs> wd:Q12 . wd:Q12 <http://www.w3.org/2002/07/owl#sameAs> wd:Q2 .
wd:Q21 <http://www.w3.org/2002/07/owl#sameAs> wd:Q22 . wd:Q22 <http://www.w3.org/2002/07/owl#sameAs> wd:Q21 .
wd:Q4 wdt:P225 "Cus bus" ; wdt:P1420 wd:Q2 . wd:Q5 wdt:P225 "Dus bus" ; wdt:P566 wd:Q2 .
wd:Q6 wdt:P225 "Eus bus" ; wdt:P1403 wd:Q2 ; wdt:P846 "2481139" .
@prefix sdc: <https://commons.wikimedia.org/entity/> . @prefix schema: <http://schema.org/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
sdc:M1 p:P195 s:h ; wdt:P217 "X" . s:h ps:P195 wd:Q190804 ; wikibase:rank wikibase:NormalRank ; pq:P217 "N" .
sdc:M2 p:P195 s:i . s:i ps:P195 wd:Q190804 ; wikibase:rank wikibase:DeprecatedRank ; pq:P217 "O" .
s:j schema:about sdc:M1 ; schema:dateModified "2026-01-01T00:00:01Z"^^xsd:dateTime .
s:k schema:about sdc:M2 ; schema:dateModified "2026-01-01T00:00:00Z"^^xsd:dateTime .
"""


def rows(name: str) -> list[dict[str, str]]:
    store = pyoxigraph.Store()
    store.load(TRIPLES.encode(), format=pyoxigraph.RdfFormat.TURTLE)
    answer = store.query(filled_query(name, **VALUES[name]))
    assert isinstance(answer, pyoxigraph.QuerySolutions)
    names = [variable.value for variable in answer.variables]
    return [
        {name: str(value.value).rpartition("/")[2] for name in names if (value := row[name]) is not None}
        for row in answer
    ]


def test_every_shipped_query_is_tried_here() -> None:
    shipped = {path.name for path in (resources.files("wiki_sync") / "queries").iterdir()}
    assert shipped == {f"{name}.rq" for name in VALUES}


@pytest.mark.parametrize("name", sorted(VALUES))
def test_the_query_runs_and_finds_something(name: str) -> None:
    assert rows(name)


@pytest.mark.parametrize("name", sorted(VALUES))
def test_the_query_uses_nothing_that_only_one_engine_knows(name: str) -> None:
    text = (resources.files("wiki_sync") / "queries" / f"{name}.rq").read_text()
    for word in ("SERVICE", "bd:", "hint:", "gas:", "mwapi:"):
        assert word not in text


def test_ancestors_end_in_a_cycle() -> None:
    assert sorted(row["taxon"] for row in rows("ancestors")) == ["Q1", "Q2", "Q3", "Q8"]


def test_a_redirect_is_followed_to_its_end_and_a_ring_of_them_leads_nowhere() -> None:
    assert {row["taxon"]: row["target"] for row in rows("taxa_redirects")} == {"Q11": "Q2", "Q12": "Q2"}


def test_synonyms_are_found_from_both_sides_and_deprecated_ones_are_not() -> None:
    found = {(row["taxon"], row["name"]) for row in rows("taxa_synonyms")}
    assert found == {("Q4", "Aus bus"), ("Q2", "Cus bus")}


def test_what_stands_right_below_comes_with_rank_and_links() -> None:
    found = {(row["taxon"], row["parent"], row.get("rank"), row.get("links")) for row in rows("taxa_below")}
    assert found == {("Q2", "Q1", "Q7432", "3"), ("Q3", "Q1", None, None)}


def test_every_parent_that_is_not_deprecated_is_told() -> None:
    said = {(row["key"], row["value"]) for row in rows("taxon_facts") if row["taxon"] == "Q2"}
    assert {value for key, value in said if key == "any parent"} == {"Q1", "Q15"}
    assert {value for key, value in said if key == "parent"} == {"Q1", "Q8"}


def test_authors_of_deprecated_names_are_left_out() -> None:
    found = {(row["name"], row["role"], row["author"]) for row in rows("taxon_authors") if row["taxon"] == "Q2"}
    assert found == {("Aus bus", "author", "Q9"), ("Aus bus", "ex", "Q10")}


def test_a_collection_has_its_numbers_and_not_what_was_once_said() -> None:
    assert rows("collection_files") == [{"file": "M1", "qualified": "N", "direct": "X"}]


def test_only_later_changes_are_found() -> None:
    assert rows("changed_files") == [{"file": "M1", "changed": "2026-01-01T00:00:01Z"}]


def test_names_of_other_languages_are_left_out() -> None:
    assert [(row["key"], row["value"]) for row in rows("taxon_names")] == [("label", "aus")]


def test_a_name_leads_to_its_taxon_and_to_those_it_is_an_old_name_of() -> None:
    found = {row["taxon"]: row["key"] for row in rows("taxa_by_name")}
    assert found == {"Q2": "name", "Q4": "synonym", "Q5": "basionym", "Q6": "original combination"}


@pytest.mark.parametrize("wrong", ["", "Q0", "q1", "Q1 ", "Q1> . } #", "P31", "Q" + "9" * 30, "Q١"])
def test_only_item_ids_reach_a_query(wrong: str) -> None:
    with pytest.raises(ValueError, match="item id"):
        checked_qid(wrong)


@pytest.mark.parametrize("wrong", ["", 'en"', "en) }", "e" * 9])
def test_only_language_codes_reach_a_query(wrong: str) -> None:
    with pytest.raises(ValueError, match="language code"):
        languages_in_query(["en", wrong])


@pytest.mark.parametrize("text", ['a"b', "a\\", "a\nb", "a\\u0022b", "} UNION {", "é 'x' \t", "?x $y"])
def test_any_text_is_a_literal_that_means_itself(text: str) -> None:
    store = pyoxigraph.Store()
    answer = store.query(f"SELECT ?x WHERE {{ VALUES ?x {{ {text_in_query(text)} }} }}")
    assert isinstance(answer, pyoxigraph.QuerySolutions)
    (row,) = answer
    assert row["x"] == pyoxigraph.Literal(text)
