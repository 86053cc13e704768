"""Categories, files and structured data, read by the real pywikibot from the stand-in Commons."""

import io
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.standin import StandInCommons, World, depicts, in_collection, inventory_number
from wiki_sync import (
    CategoryListing,
    CategoryNotFoundError,
    Commons,
    EmptyCategoryError,
    MediaInfo,
    ObjectNumber,
    WikiConfig,
    WikiFile,
    most_trusted,
)

AGENT = "IconesTest/0.1 (https://example.org/icones; icones@example.org) {braces}"


def config(standin: StandInCommons, folder: Path, **changes: object) -> WikiConfig:
    settings: dict[str, object] = {
        "api_url": standin.api_url,
        "sparql_urls": (standin.sparql_url,),
        "user_agent": AGENT,
        "state_dir": folder,
        "image_hosts": (standin.host,),
        "retry_wait_s": 0.01,
    }
    return WikiConfig(**(settings | changes))  # type: ignore[arg-type]


def picture(width: int = 1200, height: int = 800, kind: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 60)).save(out, kind)
    return out.getvalue()


PICTURE = picture()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def standin(world: World) -> Iterator[StandInCommons]:
    with StandInCommons(world) as running:
        yield running


@pytest.fixture
def commons(standin: StandInCommons, tmp_path: Path) -> Commons:
    return Commons(config(standin, tmp_path / "state"))


def fill(world: World, category: str, count: int, start: int = 0) -> list[int]:
    return [world.add_file(f"Plate {start + n:04d}.jpg", PICTURE, [category]) for n in range(count)]


def sync(commons: Commons, name: str, depth: int) -> tuple[CategoryListing, dict[int, MediaInfo]]:
    listing = commons.category(name, depth)
    return listing, commons.mediainfo([file.page_id for file in listing.files])


@pytest.mark.parametrize("count", [1, 49, 50, 51, 100, 130])
def test_syncing_n_files_costs_no_more_than_promised(
    world: World, standin: StandInCommons, commons: Commons, count: int
) -> None:
    world.add_category("Plates")
    ids = fill(world, "Plates", count)
    listing, entities = sync(commons, "Plates", 0)
    assert [file.page_id for file in listing.files] == ids
    assert set(entities) == set(ids)
    assert standin.calls.count("api") <= 2 * math.ceil(count / 50) + 10


def test_the_promise_holds_with_a_handful_of_subcategories(
    world: World, standin: StandInCommons, commons: Commons
) -> None:
    world.add_category("Albums")
    wanted: list[int] = []
    for n, count in enumerate([60, 3, 51, 0, 7]):
        world.add_category(f"Album {n}", ["Albums"])
        wanted += fill(world, f"Album {n}", count, start=n * 100)
    listing, _ = sync(commons, "Albums", 1)
    assert sorted(file.page_id for file in listing.files) == sorted(wanted)
    assert standin.calls.count("api") <= 2 * math.ceil(len(wanted) / 50) + 10


def test_a_cycle_of_categories_ends_and_each_file_comes_once(
    world: World, standin: StandInCommons, commons: Commons
) -> None:
    world.add_category("A", ["C"])
    world.add_category("B", ["A"])
    world.add_category("C", ["B"])
    world.add_category("A", ["A"])
    both = world.add_file("Both.jpg", PICTURE, ["A", "C"])
    deep = world.add_file("Deep.jpg", PICTURE, ["C"])
    listing = commons.category("A", depth=9)
    assert sorted(file.page_id for file in listing.files) == sorted([both, deep])
    assert listing.categories == ("Category:A", "Category:B", "Category:C")
    assert standin.calls.count("api") == 4


def test_depth_says_how_far_down_to_look(world: World, commons: Commons) -> None:
    for name, parent in (("Top", None), ("Middle", "Top"), ("Bottom", "Middle")):
        world.add_category(name, [parent] if parent else [])
        world.add_file(f"{name}.jpg", PICTURE, [name])
    titles = [[file.title for file in commons.category("Top", depth).files] for depth in range(4)]
    assert titles[0] == ["File:Top.jpg"]
    assert titles[1] == ["File:Top.jpg", "File:Middle.jpg"]
    assert titles[2] == titles[3] == ["File:Top.jpg", "File:Middle.jpg", "File:Bottom.jpg"]


def test_a_nearer_way_to_a_category_counts(world: World, commons: Commons) -> None:
    world.add_category("Top")
    world.add_category("A long way", ["Top"])
    world.add_category("Shared", ["A long way", "Top"])
    world.add_category("Below", ["Shared"])
    world.add_file("Below.jpg", PICTURE, ["Below"])
    assert len(commons.category("Top", depth=2).files) == 1


def test_more_subcategories_than_one_page_holds_are_all_found(world: World, commons: Commons) -> None:
    world.add_category("Top")
    for n in range(520):
        world.add_category(f"Sub {n:03d}", ["Top"])
    fill(world, "Top", 60)
    world.add_file("Last.jpg", PICTURE, ["Sub 519"])
    listing = commons.category("Top", depth=1)
    assert len(listing.categories) == 521
    assert len(listing.files) == 61


def test_an_answer_in_pieces_is_put_together(world: World, tmp_path: Path) -> None:
    world.add_category("Plates")
    ids = fill(world, "Plates", 60)
    with StandInCommons(world, chunk=7) as standin:
        files = Commons(config(standin, tmp_path)).category("Plates").files
        assert standin.calls.count("api") > 3
    assert [file.page_id for file in files] == ids
    assert all(file.sha1 and file.thumb_url and file.problem is None for file in files)


def test_a_limit_cuts_and_says_so(world: World, commons: Commons) -> None:
    world.add_category("Plates")
    fill(world, "Plates", 60)
    cut = commons.category("Plates", limit=50)
    assert (len(cut.files), cut.truncated) == (50, True)
    whole = commons.category("Plates", limit=60)
    assert (len(whole.files), whole.truncated) == (60, False)


def test_progress_is_told_page_by_page(world: World, commons: Commons) -> None:
    world.add_category("Plates")
    fill(world, "Plates", 60)
    told: list[tuple[int, int | None]] = []
    commons.category("Plates", on_progress=lambda done, total: told.append((done, total)))
    assert told == [(50, 60), (60, 60)]


def test_an_unknown_category_and_an_empty_one_are_told_apart(world: World, commons: Commons) -> None:
    world.add_category("Empty")
    with pytest.raises(CategoryNotFoundError, match="Nowhere"):
        commons.category("Nowhere")
    with pytest.raises(EmptyCategoryError, match="subcategories were not read"):
        commons.category("Empty")
    with pytest.raises(EmptyCategoryError):
        commons.category("Empty", depth=2)
    with pytest.raises(CategoryNotFoundError):
        commons.category("Bad[name]")


@pytest.mark.parametrize("mark", ["{{Category redirect|Albums}}", "{{seecat|1=Category:Albums}}\nMoved."])
def test_a_renamed_category_leads_to_its_new_name(world: World, commons: Commons, mark: str) -> None:
    world.edit_wikitext(world.add_category("Old albums"), mark)
    world.add_category("Albums")
    page_id = world.add_file("A.jpg", PICTURE, ["Albums"])
    listing = commons.category("Old albums")
    assert (listing.title, [file.page_id for file in listing.files]) == ("Category:Albums", [page_id])


def test_a_category_page_that_is_a_redirect_is_followed(world: World, commons: Commons) -> None:
    world.add_category("Old albums")
    page = world.page_by_title("Category:Old albums")
    assert page is not None
    page.redirect_to = "Category:Albums"
    world.add_category("Albums")
    world.add_file("A.jpg", PICTURE, ["Albums"])
    assert commons.category("Old albums").title == "Category:Albums"


def test_categories_that_point_at_each_other_as_renamed_do_not_go_round(world: World, commons: Commons) -> None:
    world.edit_wikitext(world.add_category("A"), "{{Category redirect|B}}")
    world.edit_wikitext(world.add_category("B"), "{{Category redirect|A}}")
    with pytest.raises(EmptyCategoryError, match="“B”"):
        commons.category("A")


def test_the_page_left_behind_by_a_move_is_no_illustration(world: World, commons: Commons) -> None:
    world.add_category("Plates")
    moved = world.add_file("Old.jpg", PICTURE, ["Plates"])
    world.move_file(moved, "New.jpg", leave_redirect=True)
    left = world.page_by_title("File:Old.jpg")
    assert left is not None
    problems = {page_id: file.problem for page_id, file in commons.files([moved, left.page_id]).items() if file}
    assert problems[moved] is None
    assert "points to another" in (problems[left.page_id] or "")


def test_a_category_without_a_page_is_found_by_its_members(world: World, commons: Commons) -> None:
    page_id = world.add_file("Lonely.jpg", PICTURE, ["Never described"])
    assert [file.page_id for file in commons.category("Never described").files] == [page_id]


def test_file_facts_are_those_of_the_wiki(world: World, commons: Commons, standin: StandInCommons) -> None:
    world.add_category("Plates")
    world.add_file(
        "Sneeuwgors (Plectrophenax nivalis), RP-T-BR-2017-1-4-18.jpg",
        PICTURE,
        ["Plates"],
        description_html='<b>Sneeuwgors</b><script>alert("x")</script> &amp; more',
        artist_html='<a href="//commons.wikimedia.org/wiki/Creator:X" onclick="steal()">Anselmus de Boodt</a>',
        licence="CC0",
        licence_url="https://creativecommons.org/publicdomain/zero/1.0/",
    )
    (file,) = commons.category("Plates").files
    assert file.mid == f"M{file.page_id}"
    assert file.description == "Sneeuwgors & more"
    assert "script" not in file.description_html
    assert "<b>Sneeuwgors</b>" in file.description_html
    assert (file.artist, file.licence) == ("Anselmus de Boodt", "CC0")
    assert file.licence_url == "https://creativecommons.org/publicdomain/zero/1.0/"
    assert (file.width, file.height, file.mime, file.size_bytes) == (1200, 800, "image/jpeg", len(PICTURE))
    assert (file.thumb_width, file.thumb_height) == (960, 640)
    assert file.thumb_url is not None
    assert file.thumb_url.startswith(standin.base_url)
    assert file.object_number == ObjectNumber("RP-T-BR-2017-1-4-18", "title")
    assert file.uploaded_at is not None
    assert file.uploaded_at.utcoffset() is not None
    assert file.problem is None


def test_a_licence_address_that_is_a_script_is_dropped(world: World, commons: Commons) -> None:
    world.add_category("Plates")
    world.add_file("A.jpg", PICTURE, ["Plates"], licence="CC0", licence_url="javascript:alert(1)")
    (file,) = commons.category("Plates").files
    assert file.licence_url is None


def test_the_returned_width_is_used_when_ours_is_not_served(
    world: World, standin: StandInCommons, tmp_path: Path
) -> None:
    world.add_category("Plates")
    world.add_file("A.jpg", PICTURE, ["Plates"])
    (file,) = Commons(config(standin, tmp_path, thumb_width=700)).category("Plates").files
    assert file.thumb_width == 960
    (small,) = Commons(config(standin, tmp_path, thumb_width=1280)).category("Plates").files
    assert (small.thumb_url, small.thumb_width) == (small.url, 1200)


def test_files_that_went_away_are_none_and_moved_ones_have_their_new_title(world: World, commons: Commons) -> None:
    world.add_category("Plates")
    stays, goes, moves = fill(world, "Plates", 3)
    page = world.add_category("Not a file")
    world.delete_file(goes)
    world.move_file(moves, "Other name.jpg")
    found = commons.files([stays, goes, moves, page, 999_999])
    assert found[goes] is None
    assert found[page] is None
    assert found[999_999] is None
    assert isinstance(found[stays], WikiFile)
    moved = found[moves]
    assert moved is not None
    assert (moved.title, moved.page_id) == ("File:Other name.jpg", moves)


def test_files_and_entities_are_asked_for_fifty_at_a_time(
    world: World, standin: StandInCommons, commons: Commons
) -> None:
    world.add_category("Plates")
    ids = fill(world, "Plates", 120)
    assert len(commons.files([*ids, *ids])) == 120
    assert standin.calls.count("api") == 3
    assert len(commons.mediainfo(ids)) == 120
    assert standin.calls.count("api") == 6
    assert commons.files([]) == {}
    assert commons.mediainfo([]) == {}
    assert standin.calls.count("api") == 6


@pytest.mark.parametrize("wrong", [0, -1, True, "36", 1.5])
def test_what_is_no_page_id_never_reaches_the_wiki(standin: StandInCommons, commons: Commons, wrong: object) -> None:
    with pytest.raises(ValueError, match="page id"):
        commons.mediainfo([1, wrong])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="page id"):
        commons.files([wrong])  # type: ignore[list-item]
    assert standin.calls.count() == 0


def test_depicts_come_with_rank_box_and_unknown_values(world: World, commons: Commons) -> None:
    statements = [
        depicts("Q42", rank="preferred", box="pct:10,10,40,40"),
        depicts("Q43"),
        depicts(None),
        depicts("Q44", rank="deprecated"),
    ]
    told = world.add_file("Told.jpg", PICTURE, statements=statements)
    untold = world.add_file("Untold.jpg", PICTURE)
    emptied = world.add_file("Emptied.jpg", PICTURE)
    world.set_statements(emptied, [])
    found = commons.mediainfo([told, untold, emptied, 999_999])
    assert [(one.qid, one.rank, one.snaktype, one.box) for one in found[told].depicts] == [
        ("Q42", "preferred", "value", "pct:10,10,40,40"),
        ("Q43", "normal", "value", None),
        (None, "normal", "somevalue", None),
        ("Q44", "deprecated", "value", None),
    ]
    assert found[told].depicts[0].statement_id.startswith(f"M{told}$")
    assert found[told].depicts[0].qualifiers == {"P2677": ("pct:10,10,40,40",)}
    assert found[told].lastrevid is not None
    assert (found[untold].exists, found[emptied].exists, found[999_999].exists) == (False, True, False)
    assert found[emptied].depicts == ()


def test_property_ids_are_settings(world: World, standin: StandInCommons, tmp_path: Path) -> None:
    page_id = world.add_file("A.jpg", PICTURE, statements=[depicts("Q42", prop="P292"), depicts("Q1")])
    found = Commons(config(standin, tmp_path, depicts="P292")).mediainfo([page_id])
    assert [one.qid for one in found[page_id].depicts] == ["Q42"]


def test_the_object_number_comes_from_the_most_trusted_place(
    world: World, standin: StandInCommons, commons: Commons, tmp_path: Path
) -> None:
    world.add_category("Plates")
    name = "Plate {}, RP-T-{}-1.jpg"
    template = "{{Artwork|accession number=RP-T-TEMPLATE-2}}"
    world.add_file(
        name.format("a", "A"), PICTURE, ["Plates"], wikitext=template, statements=[in_collection("Q1", "X 3")]
    )
    world.add_file(name.format("b", "B"), PICTURE, ["Plates"], wikitext=template, statements=[inventory_number("Y 4")])
    world.add_file(name.format("c", "C"), PICTURE, ["Plates"], wikitext=template)
    world.add_file(name.format("d", "D"), PICTURE, ["Plates"])
    world.add_file("Plate e.jpg", PICTURE, ["Plates"])
    listing, entities = sync(commons, "Plates", 0)
    settings = config(standin, tmp_path)
    numbers = {
        file.title[11]: most_trusted(settings, entities[file.page_id].object_number, file.object_number)
        for file in listing.files
    }
    assert {letter: (number.value, number.source) if number else None for letter, number in numbers.items()} == {
        "a": ("X 3", "P195/P217"),
        "b": ("Y 4", "P217"),
        "c": ("RP-T-TEMPLATE-2", "template"),
        "d": ("RP-T-D-1", "title"),
        "e": None,
    }


def test_a_drawing_without_a_picture_and_a_tiff_with_one_are_told_apart(world: World, commons: Commons) -> None:
    world.add_category("Plates")
    world.add_file("Scan.tif", picture(kind="TIFF"), ["Plates"])
    (scan,) = commons.category("Plates").files
    assert scan.mime == "image/tiff"
    assert scan.thumb_url is not None
    assert scan.thumb_url != scan.url
    assert scan.problem is None


def test_our_user_agent_goes_with_every_request(world: World, standin: StandInCommons, commons: Commons) -> None:
    world.add_category("Plates")
    fill(world, "Plates", 2)
    sync(commons, "Plates", 0)
    assert {call.headers["user-agent"] for call in standin.calls.requests} == {AGENT}
    assert all("maxlag" in call.params for call in standin.calls.requests)


def test_nobody_is_signed_in_and_nothing_else_is_asked(world: World, standin: StandInCommons, commons: Commons) -> None:
    world.add_category("Plates")
    fill(world, "Plates", 2)
    sync(commons, "Plates", 0)
    assert [call.params["action"] for call in standin.calls.requests] == ["query", "query", "wbgetentities"]
    assert all("meta" not in call.params for call in standin.calls.requests)
