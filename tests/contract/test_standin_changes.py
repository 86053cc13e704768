"""What the stand-in says about changes and about files as RDF, as MediaWiki and the query services of Commons do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.support.standin import StandInCommons, World, depicts, in_collection

AGENT = {"User-Agent": "IconesContractTest/1.0 (https://icones.example; test@icones.example)"}
DRAWING = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
PREFIXES = """
PREFIX wd: <http://www.wikidata.org/entity/> PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX p: <http://www.wikidata.org/prop/> PREFIX ps: <http://www.wikidata.org/prop/statement/>
PREFIX pq: <http://www.wikidata.org/prop/qualifier/> PREFIX wikibase: <http://wikiba.se/ontology#>
PREFIX schema: <http://schema.org/> PREFIX sdc: <https://commons.wikimedia.org/entity/>
"""


@pytest.fixture
def world() -> World:
    world = World()
    world.add_category("Plates")
    for name in "CABED":
        world.add_file(f"{name}.svg", DRAWING, ["Plates"])
    return world


@pytest.fixture
def standin(world: World) -> Iterator[StandInCommons]:
    with StandInCommons(world) as running:
        yield running


def ask(standin: StandInCommons, **params: str | int) -> dict[str, Any]:
    given: dict[str, str | int] = {"action": "query", "format": "json", "formatversion": 2, **params}
    answer: dict[str, Any] = httpx2.get(standin.api_url, params=given, headers=AGENT).json()
    return answer


def in_pages(standin: StandInCommons, module: str, **params: str | int) -> list[dict[str, Any]]:
    """All rows of a list, two an answer, each answer continued with the whole `continue` of the one before."""
    rows: list[dict[str, Any]] = []
    further: dict[str, str | int] = {}
    while True:
        answer = ask(standin, list=module, **(params | further))
        assert "error" not in answer
        found = answer["query"][module]
        assert len(found) <= 2
        rows += found
        if "continue" not in answer:
            return rows
        assert answer["continue"]["continue"] == "-||"
        further = answer["continue"]


@pytest.mark.parametrize("newer", [True, False])
@pytest.mark.parametrize(
    ("module", "prefix", "number"), [("recentchanges", "rc", "rcid"), ("logevents", "le", "logid")]
)
def test_changes_and_log_go_on_where_they_stopped_in_both_directions(
    world: World, standin: StandInCommons, module: str, prefix: str, number: str, newer: bool
) -> None:
    world.delete_file(world.titles["File:A.svg"])
    order: dict[str, str | int] = {f"{prefix}limit": 2, f"{prefix}prop": "ids|timestamp|title"}
    rows = in_pages(standin, module, **(order | ({f"{prefix}dir": "newer"} if newer else {})))
    numbers = [row[number] for row in rows]
    assert numbers == sorted(set(numbers), reverse=not newer)
    assert len(rows) == (6 if module == "logevents" else 8)
    assert "error" in ask(standin, list=module, **{f"{prefix}continue": "nonsense"})


def test_a_row_of_recent_changes_has_what_was_asked_for(world: World, standin: StandInCommons) -> None:
    page_id = world.titles["File:A.svg"]
    revid = world.set_statements(page_id, [depicts("Q42")])
    world.move_file(page_id, "Z.svg")
    props = "ids|title|timestamp|loginfo|comment|user"
    move, edit = ask(standin, list="recentchanges", rcprop=props, rclimit=2)["query"]["recentchanges"]
    shown = (edit["type"], edit["ns"], edit["title"], edit["pageid"], edit["revid"], edit["user"])
    assert shown == ("edit", 6, "File:A.svg", page_id, revid, "Uploader")
    assert (move["logtype"], move["logaction"], move["pageid"]) == ("move", "move", world.titles["File:A.svg"])
    assert move["logparams"] == {"target_ns": 6, "target_title": "File:Z.svg", "suppressredirect": False}
    assert "logtype" not in edit
    event = ask(standin, list="logevents", letitle="File:A.svg", lelimit=1)["query"]["logevents"][0]
    assert (event["pageid"], event["logpage"], event["params"]) == (move["pageid"], page_id, move["logparams"])


def test_deleting_a_page_takes_its_edits_out_of_the_recent_changes(world: World, standin: StandInCommons) -> None:
    page_id = world.titles["File:A.svg"]
    world.edit_wikitext(page_id, "words")
    world.delete_file(page_id)
    rows = ask(standin, list="recentchanges", rcprop="ids|title", rclimit="max", rcnamespace=6)["query"]
    kinds = [(row["type"], row["pageid"]) for row in rows["recentchanges"] if row["title"] == "File:A.svg"]
    assert kinds == [("log", 0), ("log", page_id)]


@pytest.mark.parametrize("sort", ["sortkey", "timestamp"])
@pytest.mark.parametrize("direction", ["ascending", "descending"])
def test_members_of_a_category_go_on_in_every_order(
    world: World, standin: StandInCommons, sort: str, direction: str
) -> None:
    order: dict[str, str | int] = {"cmsort": sort, "cmdir": direction, "cmtitle": "Category:Plates"}
    rows = in_pages(standin, "categorymembers", cmlimit=2, **order)
    letters = "".join(row["title"][5] for row in rows)
    expected = "CABED" if sort == "timestamp" else "ABCDE"
    assert letters == (expected if direction == "ascending" else expected[::-1])


def test_members_are_those_of_now(world: World, standin: StandInCommons) -> None:
    def letters() -> str:
        rows = ask(standin, list="categorymembers", cmtitle="Category:Plates")["query"]["categorymembers"]
        return "".join(row["title"][5] for row in rows)

    first = world.titles["File:A.svg"]
    assert letters() == "ABCDE"
    world.move_file(first, "X.svg", leave_redirect=False)
    assert letters() == "BCDEX"
    world.delete_file(first)
    assert letters() == "BCDE"
    world.undelete_file(first)
    assert letters() == "BCDEX"
    world.set_categories(first, ["Elsewhere"])
    assert letters() == "BCDE"


def select(url: str, query: str) -> list[dict[str, str]]:
    answer = httpx2.post(url, data={"query": PREFIXES + query}, headers=AGENT).raise_for_status().json()
    return [{name: term["value"] for name, term in row.items()} for row in answer["results"]["bindings"]]


def test_the_direct_triples_have_the_best_rank_only(world: World, standin: StandInCommons) -> None:
    page_id = world.titles["File:A.svg"]
    told = [depicts("Q1"), depicts("Q2", "preferred", box="pct:1,2,3,4"), depicts("Q3", "deprecated"), depicts(None)]
    world.set_statements(page_id, [*told, in_collection("Q9", "N 1")])
    url = standin.commons_sparql_url
    direct = select(url, f"SELECT ?q {{ sdc:M{page_id} wdt:P180 ?q }}")
    assert [row["q"] for row in direct] == ["http://www.wikidata.org/entity/Q2"]
    every = select(url, f"SELECT ?q ?rank {{ sdc:M{page_id} p:P180 ?s . ?s ps:P180 ?q ; wikibase:rank ?rank }}")
    ranks = {row["q"].rpartition("/")[2][:2]: row["rank"].partition("#")[2] for row in every}
    assert ranks.pop(f"M{page_id}"[:2]) == "NormalRank"  # the unknown one is a node of this file's own
    assert ranks == {"Q1": "NormalRank", "Q2": "PreferredRank", "Q3": "DeprecatedRank"}
    boxes = select(url, "SELECT ?box { ?s ps:P180 wd:Q2 ; pq:P2677 ?box }")
    assert boxes == [{"box": "pct:1,2,3,4"}]


def test_the_graph_follows_the_wiki(world: World, standin: StandInCommons) -> None:
    page_id = world.titles["File:A.svg"]
    url, query = standin.commons_sparql_url, "SELECT ?file ?t { ?d schema:about ?file ; schema:dateModified ?t }"
    assert select(url, query) == []  # no structured data yet
    world.set_statements(page_id, [])
    (row,) = select(url, query)
    assert row == {"file": f"https://commons.wikimedia.org/entity/M{page_id}", "t": world.now}
    world.delete_file(page_id)
    assert select(url, query) == []
    world.undelete_file(page_id)
    assert len(select(url, query)) == 1


def test_the_service_with_a_sign_in_sends_strangers_away(standin: StandInCommons) -> None:
    query = {"query": "SELECT ?a { ?a ?b ?c }"}
    away = httpx2.get(standin.wcqs_url, params=query, headers=AGENT)
    assert (away.status_code, away.headers["Location"].partition("?")[0]) == (307, "/wcqs/oauth/check_login")
    for cookie in ("", "wcqsOauth=wrong"):
        headers = AGENT | ({"Cookie": cookie} if cookie else {})
        sign_in = httpx2.get(f"{standin.base_url}{away.headers['Location']}", headers=headers)
        assert sign_in.status_code == 307
        assert sign_in.headers["Location"].startswith("https://commons.wikimedia.org/")
    with httpx2.Client(headers=AGENT, cookies={"wcqsOauth": standin.wcqs.cookie}) as client:
        back = client.get(f"{standin.base_url}{away.headers['Location']}")
        assert back.headers["Location"] == away.request.url.raw_path.decode()
        answer = client.get(f"{standin.base_url}{back.headers['Location']}")
    assert answer.json()["results"]["bindings"] == []
