"""Taxa put together from query rows, and the choices among several values."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from wiki_sync import TaxonFacts, WikiConfig
from wiki_sync.sparql import Row, Term
from wiki_sync.taxon import taxa_of_rows, without_cycles

CONFIG = WikiConfig(
    api_url="https://commons.wikimedia.org/w/api.php",
    sparql_urls=(),
    user_agent="IconesTest/0 (test@example.org)",
    state_dir=Path("unused"),
)
WD = CONFIG.item_base


def item(qid: str) -> Term:
    return Term(WD + qid, "uri")


def said(qid: str, key: str, value: str, language: str = "") -> Row:
    return {"taxon": item(qid), "key": Term(key, "literal"), "value": Term(value, "literal", language)}


def linked(qid: str, key: str, target: str) -> Row:
    return {"taxon": item(qid), "key": Term(key, "literal"), "value": item(target)}


def one(facts: list[Row], names: list[Row] | None = None, authors: list[Row] | None = None) -> TaxonFacts:
    (taxon,) = taxa_of_rows(CONFIG, facts, names or [], authors or []).values()
    return taxon


def test_of_two_scientific_names_the_one_on_the_label_is_taken() -> None:
    facts = [said("Q1", "name", "Chelidonichthys lastoviza"), said("Q1", "name", "Trigloporus lastoviza")]
    assert one(facts).scientific_name == "Chelidonichthys lastoviza"
    assert one(facts, [said("Q1", "label", "Trigloporus lastoviza", "en")]).scientific_name == "Trigloporus lastoviza"


def test_an_item_without_a_scientific_name_is_no_taxon() -> None:
    assert taxa_of_rows(CONFIG, [linked("Q1", "rank", "Q7432"), linked("Q1", "parent", "Q2")], [], []) == {}


def test_the_rank_is_a_word_even_when_we_have_none_for_it() -> None:
    name = said("Q1", "name", "X")
    assert one([name, linked("Q1", "rank", "Q7432")]).rank == "species"
    odd = one([name, linked("Q1", "rank", "Q99999"), said("Q1", "rank word", "supercohort", "en")])
    assert (odd.rank, odd.rank_qid) == ("supercohort", "Q99999")
    assert one([name, linked("Q1", "rank", "Q99999")]).rank is None
    assert one([name]).rank is None


def test_parents_are_in_order_of_number_and_a_taxon_is_not_its_own_parent() -> None:
    parents = [linked("Q1", "parent", q) for q in ("Q100", "Q20", "Q1")]
    taxon = one([said("Q1", "name", "X"), *parents])
    assert taxon.parent_qids == ("Q20", "Q100")
    assert taxon.parent_qid == "Q20"


def test_an_unknown_parent_is_no_parent() -> None:
    blank = {"taxon": item("Q1"), "key": Term("parent", "literal"), "value": Term("b0", "bnode")}
    genid = {**blank, "value": Term("http://www.wikidata.org/.well-known/genid/1", "uri")}
    assert one([said("Q1", "name", "X"), blank, genid]).parent_qids == ()


def test_names_leave_out_the_scientific_one_and_prefer_the_label() -> None:
    names = [
        said("Q1", "label", "painted lady", "en"),
        said("Q1", "vernacular", "Painted Lady", "en"),
        said("Q1", "vernacular", "cosmopolitan", "en"),
        said("Q1", "other", "Vanessa cardui", "en"),
        said("Q1", "label", "Vanessa cardui", "nl"),
        said("Q1", "vernacular", "distelvlinder", "nl"),
        said("Q1", "other", "Distelfalter-Art", "de"),
    ]
    taxon = one([said("Q1", "name", "Vanessa cardui")], names)
    assert [(n.language, n.name, n.preferred) for n in taxon.names] == [
        ("nl", "distelvlinder", True),
        ("en", "painted lady", True),
        ("en", "cosmopolitan", False),
        ("de", "Distelfalter-Art", False),
    ]


def test_the_lowest_of_several_ids_is_taken_by_number() -> None:
    facts = [said("Q1", "name", "X"), said("Q1", "gbif", "1000"), said("Q1", "gbif", "9"), said("Q1", "col", "4XYZ")]
    assert one(facts).ids == {"gbif": "9", "col": "4XYZ"}


def test_the_picture_is_a_file_title() -> None:
    address = "http://commons.wikimedia.org/wiki/Special:FilePath/Vanessa%20cardui_%28male%29.jpg"
    facts = [said("Q1", "name", "X"), {**said("Q1", "image", ""), "value": Term(address, "uri")}]
    assert one(facts).image_title == "File:Vanessa cardui (male).jpg"


def author(qid: str, name: str, author_qid: str, role: str = "author", **parts: str) -> Row:
    row: dict[str, Term] = {
        "taxon": item(qid),
        "name": Term(name, "literal"),
        "role": Term(role, "literal"),
        "author": item(author_qid),
    }
    return row | {key: Term(value, "literal") for key, value in parts.items()}


def test_authorship_names_authors_and_year() -> None:
    name = [said("Q1", "name", "Aus bus")]
    linnaeus = author(
        "Q1", "Aus bus", "Q9", label="Carl Linnaeus", citation="Linnaeus", published="1758-01-01T00:00:00Z"
    )
    assert one(name, authors=[linnaeus]).authorship == "Linnaeus, 1758"
    moved = {**linnaeus, "recombined": item("Q14594740")}
    assert one(name, authors=[moved]).authorship == "(Linnaeus, 1758)"
    three = [author("Q1", "Aus bus", f"Q{n}", label=who) for n, who in ((3, "Roe"), (4, "Doe"), (5, "Poe"))]
    assert one(name, authors=three).authorship == "Doe, Poe & Roe"
    ex = [
        author("Q1", "Aus bus", "Q3", abbreviation="Backer"),
        author("Q1", "Aus bus", "Q4", "ex", abbreviation="Hassk."),
    ]
    assert one(name, authors=ex).authorship == "Hassk. ex Backer"
    other_name = author("Q1", "Cus dus", "Q9", label="X")
    assert one(name, authors=[other_name]).authorship is None
    assert one([*name, said("Q1", "citation", "(L.) Mill.")], authors=[linnaeus]).authorship == "(L.) Mill."


numbers = st.integers(min_value=1, max_value=12)
trees = st.dictionaries(numbers, st.sets(numbers, max_size=3), min_size=1, max_size=12)


def facts_of(tree: dict[int, set[int]]) -> dict[str, TaxonFacts]:
    return {
        f"Q{n}": TaxonFacts(f"Q{n}", f"T{n}", parent_qids=tuple(f"Q{p}" for p in sorted(parents - {n})))
        for n, parents in tree.items()
    }


@given(trees)
def test_every_walk_upwards_ends_whatever_the_wiki_says(tree: dict[int, set[int]]) -> None:
    taxa = without_cycles(facts_of(tree))
    for start in taxa:
        seen: set[str] = set()
        at: str | None = start
        while at is not None:
            assert at not in seen
            seen.add(at)
            at = taxa[at].parent_qid


@given(trees)
def test_the_chosen_parent_is_known_and_one_of_the_given_ones(tree: dict[int, set[int]]) -> None:
    for taxon in without_cycles(facts_of(tree)).values():
        assert taxon.parent_qid is None or taxon.parent_qid in taxon.parent_qids


@given(trees)
def test_the_choice_does_not_depend_on_the_order(tree: dict[int, set[int]]) -> None:
    forwards = facts_of(tree)
    backwards = dict(reversed(forwards.items()))
    assert without_cycles(forwards) == without_cycles(backwards)


def test_the_lowest_parent_is_taken_unless_it_leads_back() -> None:
    taxa = without_cycles(facts_of({1: {2, 3}, 2: {1}, 3: set()}))
    assert taxa["Q1"].parent_qid == "Q2"
    assert taxa["Q2"].parent_qid is None
    taxa = without_cycles(facts_of({1: {2}, 2: {1, 3}, 3: set()}))
    assert taxa["Q2"].parent_qid == "Q3"
