"""What a real wiki once answered, read by our parsers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import data_folder, reference_folder
from wiki_sync import BadAnswerError, MediaInfo, WikiConfig
from wiki_sync.mediainfo import parse_entity
from wiki_sync.wikifile import parse_page

CONFIG = WikiConfig(
    api_url="https://commons.wikimedia.org/w/api.php",
    sparql_urls=(),
    user_agent="IconesTest/0 (test@example.org)",
    state_dir=Path("unused"),
)


def recorded(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((reference_folder() / "commons-api" / f"{name}.json").read_text())
    return answer


def entities(name: str) -> dict[str, MediaInfo]:
    return {mid: parse_entity(CONFIG, mid, entity) for mid, entity in recorded(name)["entities"].items()}


def test_a_mixed_batch_has_entities_empty_ones_and_missing_ones() -> None:
    found = entities("read-entities-batch-mixed")
    assert [one.qid for one in found["M36"].depicts] == ["Q39908", "Q5", "Q42"]
    assert found["M37"].exists
    assert found["M37"].depicts == ()
    assert found["M37"].lastrevid == 47
    missing = [one for one in found.values() if not one.exists]
    assert missing
    assert all(one.lastrevid is None and one.depicts == () for one in missing)


@pytest.mark.parametrize("name", ["read-entity-none-yet", "read-entity-of-deleted-file", "read-entity-none-yet.fv1"])
def test_a_file_without_structured_data_is_known_to_have_none(name: str) -> None:
    (found,) = entities(name).values()
    assert not found.exists


@pytest.mark.parametrize("name", ["read-entity-label-only-no-statements", "read-entity-label-only-no-statements.fv1"])
def test_an_empty_list_of_statements_is_no_statements(name: str) -> None:
    (found,) = entities(name).values()
    assert found.exists
    assert found.depicts == ()


def test_unknown_and_no_value_are_kept_apart_from_items() -> None:
    (found,) = entities("read-entity-somevalue-and-novalue").values()
    assert [(one.snaktype, one.qid) for one in found.depicts] == [("somevalue", None), ("novalue", None)]


def test_equal_statements_stay_two() -> None:
    (found,) = entities("read-entity-same-value-twice").values()
    qids = [one.qid for one in found.depicts]
    assert len(qids) > len(set(qids))
    assert len({one.statement_id for one in found.depicts}) == len(qids)


def test_qualifiers_are_read_as_text() -> None:
    (found,) = entities("read-entity-p180-with-qualifier").values()
    assert any(one.qualifiers for one in found.depicts)
    assert all(
        isinstance(value, str) for one in found.depicts for values in one.qualifiers.values() for value in values
    )


def test_every_recorded_entity_can_be_read() -> None:
    seen = 0
    for path in sorted((reference_folder() / "commons-api").glob("*.json")):
        answer = json.loads(path.read_text())
        if isinstance(answer, dict):
            for mid, entity in (answer.get("entities") or {}).items():
                if mid.startswith("M"):
                    parse_entity(CONFIG, mid, entity)
                    seen += 1
    assert seen > 30


def test_a_recorded_file_page_is_read_as_it_stands() -> None:
    (page,) = recorded("query-imageinfo")["query"]["pages"]
    found = parse_page(CONFIG, page)
    assert found is not None
    version = page["imageinfo"][0]
    assert (found.mid, found.sha1) == ("M39", version["sha1"])
    assert (found.thumb_url, found.thumb_width) == (version["thumburl"], version["thumbwidth"])
    assert (found.width, found.height, found.size_bytes) == (670, 480, 8088)
    assert found.uploaded_at is not None
    assert found.uploaded_at.isoformat() == "2026-11-21T01:22:40+00:00"
    assert found.problem is None


def test_samples_of_the_real_commons_are_read_too() -> None:
    folder = data_folder() / "commons-samples" / "entities"
    entity = json.loads((folder / "mediainfo_M75908279.json").read_text())
    entity = entity.get("entities", {"M75908279": entity})["M75908279"]
    found = parse_entity(CONFIG, "M75908279", entity)
    assert found.exists
    assert found.page_id == 75908279


@pytest.mark.parametrize(
    "statements",
    [{"P180": [{"id": "M1$x"}]}, {"P180": [{"mainsnak": {"snaktype": "value"}, "id": "M1$x"}]}, "text", {"P180": 5}],
)
def test_statements_of_another_shape_are_a_bad_answer(statements: object) -> None:
    with pytest.raises(BadAnswerError, match="M1"):
        parse_entity(CONFIG, "M1", {"statements": statements})


def snak(prop: str, value: object, kind: str = "string") -> dict[str, Any]:
    return {"snaktype": "value", "property": prop, "datavalue": {"value": value, "type": kind}}


def test_the_number_that_qualifies_the_collection_is_trusted_before_the_bare_one() -> None:
    museum = {"entity-type": "item", "numeric-id": 190804}  # old answers have no "id"
    held = {"mainsnak": snak("P195", museum), "id": "a", "rank": "normal"}
    statements = {
        "P217": [{"mainsnak": snak("P217", "RP-BARE"), "id": "b", "rank": "normal"}],
        "P195": [
            {**held, "rank": "deprecated", "qualifiers": {"P217": [snak("P217", "RP-OLD")]}},
            {**held, "qualifiers": {"P217": [snak("P217", " RP-NORMAL ")]}},
            {**held, "rank": "preferred", "qualifiers": {"P217": [{"snaktype": "somevalue", "property": "P217"}]}},
        ],
    }
    number = parse_entity(CONFIG, "M1", {"statements": statements}).object_number
    assert number is not None
    assert (number.value, number.source) == ("RP-NORMAL", "P195/P217")
    del statements["P195"]
    number = parse_entity(CONFIG, "M1", {"statements": statements}).object_number
    assert number is not None
    assert (number.value, number.source) == ("RP-BARE", "P217")


def test_deprecated_numbers_are_no_numbers() -> None:
    old = {"mainsnak": snak("P217", "RP-OLD"), "id": "b", "rank": "deprecated"}
    held = {
        "mainsnak": snak("P195", {"entity-type": "item", "id": "Q1"}),
        "id": "a",
        "rank": "deprecated",
        "qualifiers": {"P217": [snak("P217", "RP-OLDER")]},
    }
    assert parse_entity(CONFIG, "M1", {"statements": {"P195": [held], "P217": [old]}}).object_number is None


@pytest.mark.parametrize(
    ("value", "qid"),
    [
        ({"entity-type": "item", "numeric-id": 42}, "Q42"),
        ({"entity-type": "item", "id": "Q42"}, "Q42"),
        ({"entity-type": "lexeme", "id": "L42"}, None),
        ({"entity-type": "item", "id": "Q1> } #"}, None),
        ("Q42 as text, it seems", None),
    ],
)
def test_only_items_are_depicted(value: object, qid: str | None) -> None:
    entity = {"statements": {"P180": [{"mainsnak": snak("P180", value), "id": "a", "rank": "normal"}]}}
    (found,) = parse_entity(CONFIG, "M1", entity).depicts
    assert (found.qid, found.snaktype) == (qid, "value")


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ({"url": "https://x.org/a.webm", "mime": "video/webm", "width": 5, "height": 5}, "not a picture"),
        ({"url": "https://x.org/a.svg", "mime": "image/svg+xml", "width": 5, "height": 5}, "no picture of this"),
        ({"url": "https://x.org/a.jpg", "mime": "image/jpeg", "width": 0, "height": 0}, "damaged"),
        ({"filehidden": True}, "hidden"),
        ({}, "no file any more"),
    ],
)
def test_a_file_that_cannot_be_an_illustration_says_why(version: dict[str, Any], words: str) -> None:
    page = {"pageid": 7, "ns": 6, "title": "File:A.jpg", "lastrevid": 1, "imageinfo": [version]}
    found = parse_page(CONFIG, page)
    assert found is not None
    assert found.problem is not None
    assert words in found.problem


def test_a_tiff_with_a_smaller_picture_is_fine() -> None:
    version = {
        "url": "https://x.org/a.tif",
        "thumburl": "https://x.org/a.tif.jpg",
        "mime": "image/tiff",
        "width": 5,
        "height": 5,
    }
    page = {"pageid": 7, "ns": 6, "title": "File:A.tif", "imageinfo": [version]}
    found = parse_page(CONFIG, page)
    assert found is not None
    assert found.problem is None
