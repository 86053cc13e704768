"""The test world of real plates: what is in it, so that other tests may rely on it."""

from __future__ import annotations

import time
from collections import Counter

import httpx2
import pytest

from tests.support.paths import data_folder
from tests.support.standin import StandInCommons, World, plates_world
from tests.support.standin.flora_and_fauna import CYCLE, TWO_PARENTS
from tests.support.standin.worlds import BUTTERFLIES, DUPLICATE_NUMBER, EMPTY, ROCK, ROOT, TREES_AND_CARDS

AGENT = {"User-Agent": "IconesContractTest/1.0 (test@icones.example)"}
PREFIXES = """
PREFIX wd: <http://www.wikidata.org/entity/> PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> PREFIX skos: <http://www.w3.org/2004/02/skos/core#>
"""


@pytest.fixture(scope="module")
def world() -> World:
    return plates_world(data_folder())


def _files(world: World, category: str) -> list[int]:
    return [page.page_id for page in world.members(f"Category:{category}") if page.file is not None]


def _qids(world: World, page_id: int) -> list[str | None]:
    statements = (world.pages[page_id].latest.entity or {}).get("statements", {}).get("P180", [])
    return [one["mainsnak"].get("datavalue", {}).get("value", {}).get("id") for one in statements]


def _rows(world: World, query: str) -> list[dict[str, str]]:
    with StandInCommons(world) as standin:
        answer = httpx2.post(standin.sparql_url, data={"query": PREFIXES + query}, headers=AGENT)
    return [{key: cell["value"] for key, cell in row.items()} for row in answer.json()["results"]["bindings"]]


def test_the_world_is_there_within_three_seconds() -> None:
    data = data_folder()
    begun = time.monotonic()
    with StandInCommons(plates_world(data)) as standin:
        answer = httpx2.get(standin.api_url, params={"action": "query", "format": "json"}, headers=AGENT)
        assert answer.status_code == 200
    assert time.monotonic() - begun < 3


def test_the_categories_hold_trees_cards_and_butterflies(world: World) -> None:
    assert len(_files(world, TREES_AND_CARDS)) == 60
    assert len(_files(world, BUTTERFLIES)) == 240
    assert {world.pages[page_id].title for page_id in _files(world, ROOT)} == {
        "File:Drawn fish.svg",
        "File:Scanned leaf.tif",
    }
    assert world.members(f"Category:{EMPTY}") == []


def test_the_number_of_butterflies_can_be_chosen() -> None:
    small = plates_world(data_folder(), per_class=12)
    assert len(_files(small, BUTTERFLIES)) == 120
    with pytest.raises(ValueError):
        plates_world(data_folder(), per_class=0)


def test_one_subcategory_points_back_to_its_parent(world: World) -> None:
    subcategories = {page.title for page in world.members(f"Category:{ROOT}") if page.file is None}
    assert subcategories == {f"Category:{TREES_AND_CARDS}", f"Category:{BUTTERFLIES}"}
    assert f"Category:{ROOT}" in {page.title for page in world.members(f"Category:{BUTTERFLIES}")}


def test_two_in_five_butterflies_have_a_depicts_statement(world: World) -> None:
    files = _files(world, BUTTERFLIES)
    tagged = [page_id for page_id in files if _qids(world, page_id)]
    assert 0.38 <= len(tagged) / len(files) <= 0.45
    assert len({_qids(world, page_id)[0] for page_id in tagged}) == 10


def test_the_trees_show_every_form_that_clients_trip_over(world: World) -> None:
    statements = [
        one
        for page_id in _files(world, TREES_AND_CARDS)
        for one in (world.pages[page_id].latest.entity or {}).get("statements", {}).get("P180", [])
    ]
    assert {one["rank"] for one in statements} == {"normal", "preferred", "deprecated"}
    assert any(one["mainsnak"]["snaktype"] == "somevalue" for one in statements)
    assert any("P2677" in one.get("qualifiers", {}) for one in statements)
    qids = [_qids(world, page_id) for page_id in _files(world, TREES_AND_CARDS)]
    assert any(ROCK in one for one in qids)
    assert any(len(one) > len(set(one)) for one in qids)


def test_object_numbers_stand_in_four_places_and_one_is_there_twice(world: World) -> None:
    places: Counter[str] = Counter()
    for page_id in _files(world, TREES_AND_CARDS) + _files(world, BUTTERFLIES):
        page = world.pages[page_id]
        statements = (page.latest.entity or {}).get("statements", {})
        places["title"] += "RP-T-BR-" in page.title
        places["template"] += "accession number = RP-T-BR-" in page.latest.wikitext
        places["P195"] += "P195" in statements
        places["P217"] += "P217" in statements
        places["any"] += any(
            (
                "RP-T-BR-" in page.title,
                "accession number" in page.latest.wikitext,
                "P195" in statements,
                "P217" in statements,
            )
        )
    assert min(places[name] for name in ("title", "template", "P195", "P217")) >= 40
    assert places["any"] == 250
    twice = [
        page
        for page in world.pages.values()
        if DUPLICATE_NUMBER in f"{page.title}{page.latest.wikitext}".split(".jpg")[0]
    ]
    assert len([page for page in twice if page.title.endswith(f"{DUPLICATE_NUMBER}.jpg")]) == 2


def test_one_description_is_hostile_html(world: World) -> None:
    descriptions = [page.file.words.description_html or "" for page in world.pages.values() if page.file]
    assert any("<script>" in text and "onerror" in text for text in descriptions)


def test_every_depicted_taxon_has_a_name_and_a_lineage_up_to_a_kingdom(world: World) -> None:
    depicted = {qid for page_id in world.pages for qid in _qids(world, page_id) if qid} - {ROCK}
    values = " ".join(f"wd:{qid}" for qid in depicted)
    query = f"""SELECT DISTINCT ?t WHERE {{ VALUES ?t {{ {values} }} ?t wdt:P225 ?n ; wdt:P171* ?top .
                ?top wdt:P105 wd:Q36732 }}"""
    assert len(_rows(world, query)) == len(depicted)


def test_an_old_name_leads_to_the_accepted_taxon(world: World) -> None:
    query = """SELECT ?name ?how WHERE {
      VALUES ?old { "Pyrameis atalanta" "Papilio atalanta" "Crataegus aria" } ?o wdt:P225 ?old . ?t wdt:P225 ?name .
      { ?t wdt:P1420 ?o BIND("synonym" AS ?how) } UNION { ?t wdt:P566 ?o BIND("basionym" AS ?how) }
      UNION { ?t wdt:P1403 ?o BIND("combination" AS ?how) } }"""
    assert {(row["name"], row["how"]) for row in _rows(world, query)} == {
        ("Vanessa atalanta", "synonym"),
        ("Vanessa atalanta", "combination"),
        ("Sorbus aria", "basionym"),
    }


def test_names_come_in_several_languages(world: World) -> None:
    query = """SELECT ?name (LANG(?name) AS ?code) WHERE { ?t wdt:P225 "Vanessa atalanta" ; wdt:P1843 ?name }"""
    found = {(row["code"], row["name"]) for row in _rows(world, query)}
    assert {("nl", "atalanta"), ("de", "Admiral"), ("fr", "vulcain"), ("en", "red admiral")} <= found


def test_the_birds_keep_their_real_ids(world: World) -> None:
    assert world.taxon_qid("Falco peregrinus") == "Q30535"
    query = "SELECT ?gbif ?family WHERE { wd:Q30535 wdt:P846 ?gbif ; wdt:P171/wdt:P171/wdt:P225 ?family }"
    assert _rows(world, query) == [{"gbif": "2481047", "family": "Falconidae"}]
    own = [qid for qid in world.taxa.taxa if int(qid[1:]) >= 900_000_000]
    assert len(world.taxa.taxa) - len(own) >= 50


def test_there_are_a_taxon_with_two_parents_and_a_cycle_of_parents(world: World) -> None:
    two = _rows(world, f'SELECT ?p WHERE {{ ?t wdt:P225 "{TWO_PARENTS}" ; wdt:P171 ?p }}')
    assert len(two) == 2
    round_trip = _rows(world, f'SELECT ?n WHERE {{ ?t wdt:P225 "{CYCLE[0]}" ; wdt:P171/wdt:P171/wdt:P225 ?n }}')
    assert round_trip == [{"n": CYCLE[0]}]


def test_real_plates_come_over_the_wire(world: World) -> None:
    with StandInCommons(world) as standin:
        params = {"format": "json", "formatversion": "2", "action": "query", "generator": "categorymembers"}
        params |= {"gcmtitle": f"Category:{TREES_AND_CARDS}", "gcmtype": "file", "gcmlimit": "3"}
        params |= {"prop": "imageinfo", "iiprop": "url|size|mime", "iiurlwidth": "250"}
        pages = httpx2.get(standin.api_url, params=params, headers=AGENT).json()["query"]["pages"]
        for page in pages:
            thumb = httpx2.get(page["imageinfo"][0]["thumburl"], headers=AGENT)
            assert thumb.content[:3] == b"\xff\xd8\xff"
