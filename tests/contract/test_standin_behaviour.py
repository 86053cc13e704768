"""How the stand-in Commons behaves where no recording says it: continuation, images, faults, real clients."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image
from SPARQLWrapper import JSON, POST, SPARQLWrapper
from SPARQLWrapper.SPARQLExceptions import QueryBadFormed

from tests.support.paths import REPOSITORY
from tests.support.recorded_world import picture
from tests.support.standin import StandInCommons, World, depicts

AGENT = "IconesContractTest/1.0 (test@icones.example)"
SPARQLWRAPPER_DEFAULT = "sparqlwrapper 2.0.0 (rdflib.github.io/sparqlwrapper)"
NAMES = "SELECT ?t ?n WHERE { ?t <http://www.wikidata.org/prop/direct/P225> ?n }"


@pytest.fixture
def world() -> World:
    """Seven files of 1000 x 700 px in `Plates`, which has one subcategory; odd ones have structured data."""
    made = World()
    made.add_category("Plates")
    made.add_category("More plates", ["Plates"])
    for number in range(7):
        said = [depicts("Q1", box="pct:1,2,3,4")] if number % 2 else []
        made.add_file(
            f"Plate {number}.jpg", picture(1000, 700), ["Plates"], description_html="<b>x</b>", statements=said
        )
    made.taxa.add("Vanessa atalanta", "species", names={"nl": ["atalanta"]}, author="Linnaeus", year=1758)
    return made


@pytest.fixture
def standin(world: World) -> Iterator[StandInCommons]:
    with StandInCommons(world) as running:
        yield running


@pytest.fixture
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(headers={"User-Agent": AGENT}, timeout=10) as running:
        yield running


def _ask(client: httpx2.Client, standin: StandInCommons, **params: str) -> Any:
    answer = client.get(standin.api_url, params={"format": "json", "formatversion": "2", **params})
    return answer.json()


def _all_rounds(client: httpx2.Client, standin: StandInCommons, params: Mapping[str, str]) -> list[Any]:
    rounds: list[Any] = []
    asked = dict(params)
    while len(rounds) < 50:
        rounds.append(_ask(client, standin, **asked))
        if "continue" not in rounds[-1]:
            return rounds
        asked = {**params, **rounds[-1]["continue"]}
    raise AssertionError("the continuation does not end")


SYNC = {
    "action": "query",
    "generator": "categorymembers",
    "gcmtitle": "Category:Plates",
    "gcmtype": "file",
    "gcmlimit": "3",
    "prop": "imageinfo|info",
    "iiprop": "url|size|sha1",
    "iiurlwidth": "320",
    "list": "categorymembers",
    "cmtitle": "Category:Plates",
    "cmtype": "subcat",
}


def test_a_generator_goes_on_over_three_pages_and_a_finished_list_is_not_repeated(
    standin: StandInCommons, client: httpx2.Client
) -> None:
    rounds = _all_rounds(client, standin, SYNC)
    assert [len(one["query"]["pages"]) for one in rounds] == [3, 3, 1]
    assert all(one["batchcomplete"] is True for one in rounds)
    assert ["categorymembers" in one["query"] for one in rounds] == [True, False, False]
    assert rounds[0]["continue"]["continue"] == "gcmcontinue||categorymembers"


def test_a_batch_in_chunks_has_to_be_merged_until_it_is_complete(world: World, client: httpx2.Client) -> None:
    with StandInCommons(world, chunk=2) as standin:
        rounds = _all_rounds(client, standin, SYNC)
    assert [one.get("batchcomplete", False) for one in rounds] == [False, True, False, True, True]
    merged: dict[int, dict[str, Any]] = {}
    for one in rounds:
        for page in one["query"]["pages"]:
            merged.setdefault(page["pageid"], {}).update(page)
    assert len(merged) == 7
    assert all("imageinfo" in page and "lastrevid" in page for page in merged.values())
    assert sum("imageinfo" in page for one in rounds for page in one["query"]["pages"]) == 7


def test_a_generator_that_is_done_is_not_run_again_for_a_longer_list(
    standin: StandInCommons, client: httpx2.Client
) -> None:
    longer = {**SYNC, "gcmlimit": "max", "cmtype": "file", "cmlimit": "3"}
    rounds = _all_rounds(client, standin, longer)
    assert ["pages" in one["query"] for one in rounds] == [True, False, False]
    assert [len(one["query"]["categorymembers"]) for one in rounds] == [3, 3, 1]
    assert rounds[0]["continue"]["continue"] == "-||imageinfo|info"


def test_a_member_that_leaves_between_two_calls_makes_no_other_one_disappear(
    standin: StandInCommons, client: httpx2.Client, world: World
) -> None:
    params = {"action": "query", "list": "categorymembers", "cmtitle": "Category:Plates", "cmtype": "file"}
    first = _ask(client, standin, **params, cmlimit="3")
    leaving = world.page_by_title("File:Plate 3.jpg")
    assert leaving is not None
    world.delete_file(leaving.page_id)
    rest = _ask(client, standin, **params, cmlimit="10", **first["continue"])
    assert [page["title"][-5:-4] for page in rest["query"]["categorymembers"]] == ["4", "5", "6"]


def test_format_version_one_has_pages_as_a_map_and_empty_strings_for_true(
    standin: StandInCommons, client: httpx2.Client
) -> None:
    params = {"format": "json", "action": "query", "titles": "File:Plate 0.jpg|File:Gone.jpg", "prop": "info|revisions"}
    answer = client.get(standin.api_url, params={**params, "rvprop": "content", "rvslots": "main"}).json()
    assert answer["batchcomplete"] == ""
    pages = answer["query"]["pages"]
    assert pages["-1"]["missing"] == ""
    present = next(page for key, page in pages.items() if key != "-1")
    assert present["new"] == ""
    assert "int:filedesc" in present["revisions"][0]["slots"]["main"]["*"]


def test_titles_are_normalised_and_bad_or_absent_ones_are_said_so(
    standin: StandInCommons, client: httpx2.Client
) -> None:
    answer = _ask(client, standin, action="query", titles="file:plate_0.jpg|File:Gone.jpg|File:a[b].jpg")
    assert answer["query"]["normalized"] == [
        {"fromencoded": False, "from": "file:plate_0.jpg", "to": "File:Plate 0.jpg"}
    ]
    by_title = {page["title"]: page for page in answer["query"]["pages"]}
    assert by_title["File:Gone.jpg"] == {"ns": 6, "title": "File:Gone.jpg", "missing": True}
    assert by_title["File:a[b].jpg"]["invalid"] is True
    by_id = _ask(client, standin, action="query", pageids="99999")
    assert by_id["query"]["pages"] == [{"pageid": 99999, "missing": True}]


def test_an_unknown_category_is_simply_empty_and_a_wrong_one_an_error(
    standin: StandInCommons, client: httpx2.Client
) -> None:
    members = {"action": "query", "list": "categorymembers"}
    assert _ask(client, standin, **members, cmtitle="Category:Nobody")["query"]["categorymembers"] == []
    assert _ask(client, standin, **members, cmtitle="File:Plate 0.jpg")["error"]["code"] == "invalidcategory"
    assert _ask(client, standin, **members)["error"]["code"] == "missingparam"
    bad = _ask(client, standin, **members, cmtitle="Category:Plates", cmcontinue="nonsense")
    assert bad["error"]["code"] == "badcontinue"
    capped = _ask(client, standin, **members, cmtitle="Category:Plates", cmlimit="9999")
    assert "may not be over 500" in capped["warnings"]["categorymembers"]["warnings"]


def test_members_added_since_a_time_are_found_by_their_time_of_joining(
    standin: StandInCommons, client: httpx2.Client, world: World
) -> None:
    world.set_clock("2026-05-01T00:00:00Z")
    world.add_file("Late.jpg", picture(10, 10), ["Plates"])
    params = {"cmsort": "timestamp", "cmstart": "2026-04-30T00:00:00Z", "cmdir": "newer", "cmtype": "file"}
    answer = _ask(client, standin, action="query", list="categorymembers", cmtitle="Category:Plates", **params)
    assert [page["title"] for page in answer["query"]["categorymembers"]] == ["File:Late.jpg"]


def test_a_history_is_read_in_either_direction_and_in_parts(
    standin: StandInCommons, client: httpx2.Client, world: World
) -> None:
    page = world.page_by_title("File:Plate 0.jpg")
    assert page is not None
    ids = [page.latest.revid, *(world.edit_wikitext(page.page_id, f"text {n}") for n in range(4))]
    params = {"action": "query", "titles": page.title, "prop": "revisions", "rvprop": "ids", "rvlimit": "2"}
    newest_first = _all_rounds(client, standin, params)
    assert [one["revid"] for r in newest_first for one in r["query"]["pages"][0]["revisions"]] == ids[::-1]
    oldest_first = _all_rounds(client, standin, {**params, "rvdir": "newer", "rvstartid": str(ids[1])})
    assert [one["revid"] for r in oldest_first for one in r["query"]["pages"][0]["revisions"]] == ids[1:]


def test_search_finds_files_without_depicts_statements(standin: StandInCommons, client: httpx2.Client) -> None:
    wanted = 'incategory:"Plates" -haswbstatement:P180'
    answer = _ask(client, standin, action="query", list="search", srnamespace="6", srsearch=wanted)
    assert answer["query"]["searchinfo"]["totalhits"] == 4
    titles = [hit["title"] for hit in answer["query"]["search"]]
    assert titles == ["File:Plate 0.jpg", "File:Plate 2.jpg", "File:Plate 4.jpg", "File:Plate 6.jpg"]


def test_a_deleted_file_is_missing_everywhere_and_comes_back_with_its_statements(
    standin: StandInCommons, client: httpx2.Client, world: World
) -> None:
    page = world.page_by_title("File:Plate 1.jpg")
    assert page is not None
    address = f"{standin.base_url}/w/images/"
    info = _ask(client, standin, action="query", pageids=str(page.page_id), prop="imageinfo", iiprop="url")
    address = info["query"]["pages"][0]["imageinfo"][0]["url"]
    assert client.get(address).status_code == 200
    world.delete_file(page.page_id)
    mid = f"M{page.page_id}"
    assert _ask(client, standin, action="wbgetentities", ids=mid)["entities"][mid] == {"id": mid, "missing": ""}
    assert client.get(address).status_code == 404
    world.undelete_file(page.page_id)
    assert "P180" in _ask(client, standin, action="wbgetentities", ids=mid)["entities"][mid]["statements"]


# ---- images


def _thumb(client: httpx2.Client, standin: StandInCommons, title: str, width: int) -> dict[str, Any]:
    params = {"action": "query", "titles": title, "prop": "imageinfo", "iiprop": "url|size|mime"}
    info: dict[str, Any] = _ask(client, standin, **params, iiurlwidth=str(width))["query"]["pages"][0]["imageinfo"][0]
    return info


def test_thumbnails_are_rounded_up_to_standard_steps_and_really_have_that_size(
    standin: StandInCommons, client: httpx2.Client
) -> None:
    info = _thumb(client, standin, "File:Plate 0.jpg", 300)
    assert (info["thumbwidth"], info["thumbheight"]) == (330, 231)
    picture_back = Image.open(io.BytesIO(client.get(info["thumburl"]).content))
    assert picture_back.size == (330, 231)
    larger = _thumb(client, standin, "File:Plate 0.jpg", 1100)
    assert larger["thumburl"] == larger["url"]
    assert Image.open(io.BytesIO(client.get(larger["url"]).content)).size == (1000, 700)
    assert standin.calls.count("image") == 2


def test_thumbnails_of_other_widths_are_refused(standin: StandInCommons, client: httpx2.Client) -> None:
    address = _thumb(client, standin, "File:Plate 0.jpg", 300)["thumburl"]
    assert client.get(address.replace("/330px-", "/331px-")).status_code == 429
    assert client.get(address.replace("/330px-", "/1280px-")).status_code == 400


def test_a_file_that_is_no_picture_has_no_size_and_no_thumbnail(
    standin: StandInCommons, client: httpx2.Client, world: World
) -> None:
    world.add_file("Broken.jpg", b"this is no picture", ["Plates"])
    info = _thumb(client, standin, "File:Broken.jpg", 300)
    assert (info["width"], info["height"]) == (0, 0)
    assert "thumburl" not in info


# ---- manners


@pytest.mark.parametrize(
    "agent", ["", "python-requests/2.32.3", "Python-urllib/3.11", "curl/8.5.0", SPARQLWRAPPER_DEFAULT]
)
def test_an_empty_or_generic_user_agent_is_turned_away(standin: StandInCommons, agent: str) -> None:
    answer = httpx2.get(standin.api_url, params={"action": "query"}, headers={"User-Agent": agent})
    assert answer.status_code == 403
    assert "user-agent" in answer.text


FAULTS_BY_STATUS = [
    ("429", 429, "1"),
    ("429-no-retry-after", 429, None),
    ("502-html", 502, None),
    ("503-html", 503, None),
    ("500-timeout", 500, None),
    ("403-banned", 403, None),
    ("404", 404, None),
    ("text-200", 200, None),
]


@pytest.mark.parametrize(("fault", "status", "retry_after"), FAULTS_BY_STATUS)
def test_a_fault_strikes_once_and_is_counted(
    standin: StandInCommons, client: httpx2.Client, fault: str, status: int, retry_after: str | None
) -> None:
    standin.faults.next("api", fault)
    answer = client.get(standin.api_url, params={"action": "query", "format": "json"})
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry_after)
    with pytest.raises(ValueError):
        answer.json()
    assert standin.faults.pending == 0
    assert client.get(standin.api_url, params={"action": "query", "format": "json"}).json() == {"batchcomplete": ""}
    assert [call.fault for call in standin.calls.requests] == [fault, None]


def test_a_fault_may_wait_for_calls_of_its_kind_and_parameters(standin: StandInCommons, client: httpx2.Client) -> None:
    standin.faults.next("api", "maxlag", where=lambda params: params.get("action") == "wbgetentities")
    assert "error" not in _ask(client, standin, action="query", meta="siteinfo")
    answer = client.get(standin.api_url, params={"action": "wbgetentities", "ids": "M5", "format": "json"})
    assert answer.json()["error"]["code"] == "maxlag"
    assert answer.headers["retry-after"] == "5"
    assert standin.faults.pending == 0


def test_retry_after_may_be_a_date(standin: StandInCommons, client: httpx2.Client) -> None:
    standin.faults.next("sparql", "429", retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    assert client.get(standin.sparql_url, params={"query": NAMES}).headers["retry-after"].endswith("GMT")


def test_broken_json_is_the_right_answer_cut_in_the_middle(standin: StandInCommons, client: httpx2.Client) -> None:
    standin.faults.next("api", "broken-json")
    answer = client.get(standin.api_url, params={"action": "query", "meta": "siteinfo", "format": "json"})
    assert answer.status_code == 200
    assert answer.text.startswith('{"batchcomplete"')
    with pytest.raises(ValueError):
        answer.json()


def test_connections_drop_and_hang_on_order(standin: StandInCommons, client: httpx2.Client) -> None:
    standin.faults.next("api", "drop-connection")
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get(standin.api_url)
    standin.faults.next("api", "timeout", seconds=30)
    with pytest.raises(httpx2.ReadTimeout):
        client.get(standin.api_url, timeout=0.3)
    standin.faults.next("api", "slow", seconds=0.3)
    begun = time.monotonic()
    assert client.get(standin.api_url, params={"action": "query"}).status_code == 200
    assert time.monotonic() - begun >= 0.3


def test_images_arrive_short_damaged_false_or_without_end_on_order(
    standin: StandInCommons, client: httpx2.Client
) -> None:
    address = _thumb(client, standin, "File:Plate 0.jpg", 300)["thumburl"]
    standin.faults.next("image", "truncated-image")
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get(address)
    standin.faults.next("image", "damaged-image")
    damaged = client.get(address)
    assert len(damaged.content) == int(damaged.headers["content-length"])
    with pytest.raises(OSError):
        Image.open(io.BytesIO(damaged.content)).load()
    standin.faults.next("image", "not-an-image")
    assert client.get(address).text.startswith("<!DOCTYPE html>")
    standin.faults.next("image", "redirect", location="http://elsewhere.example/x.jpg")
    assert client.get(address).headers["location"] == "http://elsewhere.example/x.jpg"
    for fault, length in (("endless-image", None), ("enormous-image", "3000000000")):
        standin.faults.next("image", fault)
        with client.stream("GET", address) as answer:
            assert answer.headers.get("content-length") == length
            got = 0
            for block in answer.iter_bytes():
                got += len(block)
                if got > 2_000_000:
                    break
        assert got > 2_000_000


def test_the_log_tells_kinds_apart_and_forgets_on_wish(standin: StandInCommons, client: httpx2.Client) -> None:
    _ask(client, standin, action="query", meta="siteinfo")
    client.get(standin.sparql_url, params={"query": NAMES})
    assert (standin.calls.count("api"), standin.calls.count("sparql"), standin.calls.count()) == (1, 1, 2)
    assert standin.calls.requests[0].params["meta"] == "siteinfo"
    with pytest.raises(ValueError):
        standin.calls.count("apis")
    standin.calls.clear()
    assert standin.calls.count() == 0


def test_what_the_stand_in_cannot_do_is_said_loudly(standin: StandInCommons, client: httpx2.Client) -> None:
    params = {"action": "query", "titles": "File:Plate 0.jpg", "prop": "revisions", "rvtag": "mw-reverted"}
    answer = client.get(standin.api_url, params={**params, "format": "json"})
    assert answer.json()["error"]["code"] == "standin-unsupported"


def test_a_fault_of_the_stand_in_itself_fails_the_test_that_met_it(world: World, client: httpx2.Client) -> None:
    page = world.page_by_title("File:Plate 0.jpg")
    assert page is not None
    page.revisions = []
    with pytest.raises(RuntimeError, match="the stand-in itself failed"), StandInCommons(world) as standin:
        assert (
            client.get(standin.api_url, params={"action": "query", "titles": page.title, "prop": "info"}).status_code
            == 500
        )


def test_numbers_that_are_none_are_refused_as_such(standin: StandInCommons, client: httpx2.Client) -> None:
    standin.lag = 3.0
    assert _ask(client, standin, action="query", maxlag="soon")["error"]["code"] == "badinteger"
    assert _ask(client, standin, action="query", maxlag="2")["error"]["code"] == "maxlag"
    assert "error" not in _ask(client, standin, action="query", maxlag="5")


# ---- SPARQL and the real clients


def test_sparql_answers_get_form_and_posted_queries_alike(standin: StandInCommons, client: httpx2.Client) -> None:
    answers = [
        client.get(standin.sparql_url, params={"query": NAMES}),
        client.post(standin.sparql_url, data={"query": NAMES}),
        client.post(standin.sparql_url, content=NAMES, headers={"Content-Type": "application/sparql-query"}),
    ]
    for answer in answers:
        assert answer.headers["content-type"].startswith("application/sparql-results+json")
        assert answer.json()["results"]["bindings"][0]["n"]["value"] == "Vanessa atalanta"


def test_sparql_refuses_what_does_not_parse_and_what_would_leave_the_machine(
    standin: StandInCommons, client: httpx2.Client
) -> None:
    for query in ("SELECT WHERE", "", "SELECT * WHERE { SERVICE <http://127.0.0.1:9/x> { ?a ?b ?c } }"):
        assert client.get(standin.sparql_url, params={"query": query}).status_code == 400


def test_the_real_sparqlwrapper_reads_authorship_and_is_told_of_bad_queries(standin: StandInCommons) -> None:
    wrapper = SPARQLWrapper(standin.sparql_url, agent=AGENT)
    wrapper.setMethod(POST)
    wrapper.setReturnFormat(JSON)
    wrapper.setOnlyConneg(True)
    wrapper.setQuery("""
        PREFIX p: <http://www.wikidata.org/prop/> PREFIX ps: <http://www.wikidata.org/prop/statement/>
        PREFIX pq: <http://www.wikidata.org/prop/qualifier/> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
        SELECT ?author (YEAR(?when) AS ?year) WHERE {
          ?t p:P225 ?name . ?name ps:P225 "Vanessa atalanta" ; pq:P405/rdfs:label ?author ; pq:P574 ?when }""")
    answer: Any = wrapper.query().convert()
    row = answer["results"]["bindings"][0]
    assert (row["author"]["value"], row["year"]["value"]) == ("Linnaeus", "1758")
    wrapper.setQuery("SELECT nonsense")
    with pytest.raises(QueryBadFormed):
        wrapper.query()


PYWIKIBOT_SCRIPT = """
import sys
import pywikibot
from pywikibot import config, family
host = sys.argv[1]
class Local(family.DefaultWikibaseFamily):
    name = "standin"
    langs = {"commons": host}
    def protocol(self, code): return "http"
    def scriptpath(self, code): return "/w"
    def interface(self, code): return "DataSite"
    def entity_sources(self, code): return {"item": ("commons", "standin"), "property": ("commons", "standin")}
family.Family._families["standin"] = Local()
config.put_throttle = 0.01
site = pywikibot.Site("commons", "standin")
category = pywikibot.Category(site, "Category:Plates")
print(category.categoryinfo["files"], sorted(page.title() for page in category.members())[-1])
page = pywikibot.FilePage(site, "File:Plate 1.jpg")
print(page.latest_file_info.width, page.data_item().get()["statements"]["P180"][0].qualifiers["P2677"][0].getTarget())
"""


def test_the_real_pywikibot_reads_a_category_and_its_structured_data(standin: StandInCommons, tmp_path: Path) -> None:
    script = tmp_path / "read.py"
    script.write_text(PYWIKIBOT_SCRIPT, encoding="utf-8")
    world = standin.world
    world.add_entity("P2677", {"en": "relative position within image"}, datatype="string")
    world.add_entity("P180", {"en": "depicts"}, datatype="wikibase-item")
    environment = {"PYWIKIBOT_NO_USER_CONFIG": "2", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, str(script), standin.host],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["7 File:Plate 6.jpg", "1000 pct:1,2,3,4"]


def test_it_can_be_served_by_hand(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.standin", "--help"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "--port" in done.stdout
