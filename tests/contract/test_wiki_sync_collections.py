"""Files by what their structured data says, from a real SPARQL engine over the stand-in's files."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.standin import StandInCommons, Statement, World, depicts, in_collection, inventory_number
from tests.support.standin.statements import item
from wiki_sync import CollectionFile, CollectionSource, NoServiceError, QueryRefusedError, WikiConfig

DRAWING = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
MUSEUM, OTHER = "Q190804", "Q2"


def config(standin: StandInCommons, folder: Path, **changes: object) -> WikiConfig:
    settings: dict[str, object] = {
        "api_url": standin.api_url,
        "sparql_urls": (),
        "commons_sparql_urls": (standin.commons_sparql_url,),
        "user_agent": "IconesTest/0.1 (https://example.org/icones; icones@example.org)",
        "state_dir": folder,
        "retry_wait_s": 0.01,
        "max_retries": 1,
    }
    return WikiConfig(**(settings | changes))  # type: ignore[arg-type]


@pytest.fixture
def world() -> World:
    return World(start=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def standin(world: World) -> Iterator[StandInCommons]:
    with StandInCommons(world) as running:
        yield running


@pytest.fixture
def source(standin: StandInCommons, tmp_path: Path) -> CollectionSource:
    return CollectionSource(config(standin, tmp_path))


def add(world: World, name: str, *statements: Statement) -> int:
    return world.add_file(f"{name}.svg", DRAWING, statements=statements)


def held(collection: str, rank: str = "normal") -> Statement:
    """In a collection, without a number there."""
    return Statement(item("P195", collection), rank)


def test_a_collection_has_its_files_with_their_numbers(world: World, source: CollectionSource) -> None:
    qualified = add(world, "A", in_collection(MUSEUM, "RP-T-1"), inventory_number("loan 7"))
    direct = add(world, "B", held(MUSEUM), inventory_number("RP-T-2"))
    bare = add(world, "C", held(MUSEUM))
    twice = add(world, "D", in_collection(MUSEUM, "RP-T-9"), in_collection(MUSEUM, "RP-T-4"))
    add(world, "E", in_collection(OTHER, "RP-T-5"))
    add(world, "F", held(MUSEUM, "deprecated"), inventory_number("RP-T-6"))
    add(world, "G", inventory_number("RP-T-7"))
    lent = add(world, "H", held(OTHER, "preferred"), in_collection(MUSEUM, "RP-T-8"))
    assert source.files(MUSEUM) == (
        CollectionFile(f"M{qualified}", qualified, "RP-T-1"),
        CollectionFile(f"M{direct}", direct, "RP-T-2"),
        CollectionFile(f"M{bare}", bare, ""),
        CollectionFile(f"M{twice}", twice, "RP-T-4"),
        CollectionFile(f"M{lent}", lent, "RP-T-8"),
    )
    assert source.files("Q3") == ()


def test_files_that_went_or_changed_are_seen_as_they_are_now(world: World, source: CollectionSource) -> None:
    gone, changed, stays = (add(world, name, in_collection(MUSEUM, name)) for name in "ABC")
    assert len(source.files(MUSEUM)) == 3
    world.delete_file(gone)
    world.set_statements(changed, [in_collection(MUSEUM, "B2")])
    assert [(one.page_id, one.inventory_number) for one in source.files(MUSEUM)] == [(changed, "B2"), (stays, "C")]


@pytest.mark.parametrize("count", [9, 10, 11, 25])
def test_a_long_answer_is_asked_for_in_pages(world: World, standin: StandInCommons, tmp_path: Path, count: int) -> None:
    source = CollectionSource(config(standin, tmp_path), page=10)
    ids = [add(world, f"Plate {n}", in_collection(MUSEUM, f"N {n}")) for n in range(count)]
    assert [one.page_id for one in source.files(MUSEUM)] == ids
    assert standin.calls.count("commons-sparql") == count // 10 + 1
    standin.calls.clear()
    assert sorted(source.query("SELECT ?file { ?file wdt:P195 ?x }")) == ids
    assert sorted(source.changed_since(datetime(2020, 1, 1, tzinfo=UTC))) == ids
    assert standin.calls.count("commons-sparql") == 2 * (count // 10 + 1)


def test_all_pages_come_from_one_service(world: World, standin: StandInCommons, tmp_path: Path) -> None:
    """Half of one service's answer and half of another's would be neither's."""
    for n in range(25):
        add(world, f"Plate {n}", in_collection(MUSEUM, f"N {n}"))
    behind = World()
    behind.add_file("Only one.svg", DRAWING, statements=[in_collection(MUSEUM, "old")], page_id=77)
    with StandInCommons(behind) as other:
        urls = (standin.commons_sparql_url, other.commons_sparql_url)
        settings = config(standin, tmp_path, commons_sparql_urls=urls, max_retries=0)
        standin.faults.next("commons-sparql", "503-html", where=lambda params: "OFFSET 10" in params["query"])
        assert [one.page_id for one in CollectionSource(settings, page=10).files(MUSEUM)] == [77]


def test_properties_are_settings(world: World, standin: StandInCommons, tmp_path: Path) -> None:
    page_id = add(world, "A", Statement(item("P9", MUSEUM), qualifiers=(inventory_number("X").mainsnak,)))
    assert CollectionSource(config(standin, tmp_path)).files(MUSEUM) == ()
    (found,) = CollectionSource(config(standin, tmp_path, collection="P9")).files(MUSEUM)
    assert (found.page_id, found.inventory_number) == (page_id, "X")


@pytest.mark.parametrize("wrong", ["", "Q1 . ?a ?b ?c", "M1", "q5"])
def test_only_an_item_is_a_collection(standin: StandInCommons, source: CollectionSource, wrong: str) -> None:
    with pytest.raises(ValueError, match="item id"):
        source.files(wrong)
    assert standin.calls.count() == 0


def test_changed_files_are_those_after_the_moment(world: World, source: CollectionSource) -> None:
    early, late, never = (add(world, name, depicts("Q42")) for name in "ABC")
    moment = datetime.fromisoformat(world.now)
    world.set_statements(late, [depicts("Q43")])
    world.edit_wikitext(early, "words")
    assert source.changed_since(moment) == {
        late: moment + timedelta(seconds=1),
        early: moment + timedelta(seconds=2),
    }
    assert never in source.changed_since(moment - timedelta(seconds=1))
    assert source.changed_since(moment + timedelta(days=1)) == {}
    with pytest.raises(ValueError, match="time zone"):
        source.changed_since(datetime(2026, 1, 1))  # noqa: DTZ001 (what is refused)


# ---- curators' own queries


@pytest.fixture
def files(world: World) -> list[int]:
    return [
        add(world, "A", depicts("Q42"), in_collection(MUSEUM, "1")),
        add(world, "B", depicts("Q42", "preferred"), depicts("Q43")),
        add(world, "C", depicts("Q43")),
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT ?file WHERE { ?file wdt:P180 wd:Q42 }", [0, 1]),
        ("select distinct ?file where { ?file wdt:P180 wd:Q42 . } # as on the page", [0, 1]),
        ("SELECT ?anything ?q { ?anything p:P180/ps:P180 ?q }", [0, 1, 2]),
        ("SELECT ?q ?file { ?file p:P180/ps:P180 ?q }", [0, 1, 2]),
        ("SELECT ?q ?item { ?item p:P180/ps:P180 ?q }", [0, 1, 2]),
        ("SELECT * { ?file wdt:P180 wd:Q43 }", [2]),
        ("SELECT ?f { ?f p:P180/ps:P180 ?q } GROUP BY ?f HAVING (COUNT(?q) > 1)", [1]),
        ("SELECT ?q (SAMPLE(?f) AS ?item) { ?f wdt:P195 ?q } GROUP BY ?q", [0]),
        ("SELECT (?f AS ?x) { ?f wdt:P195 wd:Q190804 }", [0]),
        ("#defaultView:ImageGrid\nSELECT ?file { ?file wdt:P180 wd:Q42 } ORDER BY DESC(?file) LIMIT 1", [1]),
        ('SELECT ?file { ?file p:P195/pq:P217 ?n FILTER(?n != "} # {" && STR(?n) < "2") }', [0]),
        ("PREFIX a: <http://www.wikidata.org/prop/direct/>\nSELECT ?file { ?file a:P180 wd:Q42 }", [0, 1]),
        ("SELECT ?file { ?file wdt:P180 wd:Q4711 }", []),
        ("SELECT ?x ?file { VALUES ?x { 1 2 } OPTIONAL { ?file wdt:P180 wd:Q4711 } }", []),
        ("SELECT $file { VALUES $file { wd:Q1 sdc:M2 } }", [0]),
    ],
)
def test_a_curators_query_finds_files(files: list[int], source: CollectionSource, query: str, found: list[int]) -> None:
    assert sorted(source.query(query)) == [files[place] for place in found]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "no query"),
        ("  # nothing\n", "no query"),
        ("ASK { ?a ?b ?c }", "ASK"),
        ("CONSTRUCT { ?a ?b ?c } WHERE { ?a ?b ?c }", "CONSTRUCT"),
        ("PREFIX a: <b> DESCRIBE a:c", "DESCRIBE"),
        ("INSERT DATA { <a> <b> <c> }", "INSERT"),
        ("DROP ALL", "DROP"),
        ("# SELECT ?file {}\nDELETE WHERE { ?a ?b ?c }", "DELETE"),
        ("SELECT ?file FROM <http://example.org/> { ?file ?b ?c }", "FROM"),
        ("SELECT ?file { ?file ?b ?c", "never closed"),
        ("SELECT ?file { ?file ?b ?c } } UNION {", "closes nothing"),
        ("SELECT ?file", "where to look"),
        ("SELECT * { ?a ?b ?c }", "which column"),
        ("SELECT ?q { ?file wdt:P180 ?q }", "holds no files"),
        ("SELECT (COUNT(?q) AS ?n) ?f { ?f wdt:P180 ?q } GROUP BY ?f", "holds no files"),
        ("SELECT ?file { ?file wdt:P180 }", "refused"),
        ("SELECT ?file { SERVICE <http://example.org/> { ?file ?b ?c } }", "refused"),
    ],
)
def test_what_is_no_query_for_files_is_refused_in_words(
    files: list[int], source: CollectionSource, query: str, words: str
) -> None:
    with pytest.raises(QueryRefusedError, match=words):
        source.query(query)


def test_too_many_files_are_refused_and_not_cut(files: list[int], standin: StandInCommons, tmp_path: Path) -> None:
    query = "SELECT ?file { ?file p:P180 ?x }"
    settings = config(standin, tmp_path)
    assert sorted(CollectionSource(settings, most_files=3).query(query)) == files
    with pytest.raises(QueryRefusedError, match="more than 2"):
        CollectionSource(settings, most_files=2).query(query)


def test_without_a_service_it_is_said(standin: StandInCommons, tmp_path: Path) -> None:
    source = CollectionSource(config(standin, tmp_path, commons_sparql_urls=()))
    with pytest.raises(NoServiceError, match="No query service"):
        source.files(MUSEUM)
    with pytest.raises(NoServiceError, match="No query service"):
        source.query("SELECT ?file { ?file wdt:P180 wd:Q42 }")
