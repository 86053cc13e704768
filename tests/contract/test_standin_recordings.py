"""The stand-in Commons answers as the recorded wiki did.

Every recording is either replayed here or in `test_standin_oauth.py`, or listed in `NOT_YET` with the reason.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import pytest

from tests.support.paths import reference_folder
from tests.support.recorded_world import (
    CATEGORY,
    picture,
    put_entity,
    put_page_facts,
    put_revisions,
    study_world,
)
from tests.support.recordings import HEADERS, VOLATILE, Recording, at_address, differences, load_recordings
from tests.support.standin import StandInCommons, World
from tests.support.standin.world import Person

AGENT = {"User-Agent": "IconesContractTest/1.0 (https://icones.example; test@icones.example)"}
Prepare = Callable[[Recording], World]

WRITES = "the stand-in does not write yet; comes with the write side"
NOT_YET: tuple[tuple[str, str], ...] = (
    ("write-*", WRITES),
    ("conflict-?-*-*", WRITES),
    ("race-*", WRITES),
    ("retry-own-guid-first", WRITES),
    ("retry-own-guid-second-*", WRITES),
    ("retry-own-guid-third-*", WRITES),
    ("retry-own-guid-wbsetclaim-*", WRITES),
    ("error-abusefilter-*", WRITES),
    ("error-badtoken*", WRITES),
    ("error-baserevid-*", WRITES),
    ("error-blocked*", WRITES),
    ("error-edit-*", WRITES),
    ("error-editconflict*", WRITES),
    ("error-entity-*", WRITES),
    ("error-item-value-missing", WRITES),
    ("error-missing-parameter", WRITES),
    ("error-mustbeposted", WRITES),
    ("error-mustpostparams", WRITES),
    ("error-property-missing", WRITES),
    ("error-protectedpage*", WRITES),
    ("error-ratelimited*", WRITES),
    ("error-readonly*", WRITES),
    ("error-removeclaims-*", WRITES),
    ("error-token-missing", WRITES),
    ("error-value-*", WRITES),
    ("error-write-to-deleted-file", WRITES),
    ("oauth2-write-ok.*", WRITES),
    ("oauth2-error-badtoken-csrf", WRITES),
    ("login-*", "bot passwords: nothing of the project signs in with one yet"),
    ("query-protection-info", "protection only matters to edits; comes with the write side"),
    ("query-allimages-by-user", "list=allimages is asked by no client of the project"),
    ("query-usercontribs", "list=usercontribs shows our own edits; comes with the write side"),
)


def _entities(recording: Recording) -> World:
    world = study_world()
    for entity in recording.body["entities"].values():
        if entity.get("type") == "mediainfo":
            put_entity(world, entity)
    return world


def _claims(recording: Recording) -> World:
    world = study_world()
    claims = {"P180": [dict(one) for one in recording.body.get("claims", {}).get("P180", [])]}
    if claims["P180"]:
        entity = {"pageid": 39, "title": "File:Study house 04.jpg", "lastrevid": 51, "statements": claims}
        put_entity(world, {**entity, "modified": "2026-11-21T01:25:12Z"})
    return world


def _deleted(recording: Recording) -> World:
    world = study_world()
    world.set_statements(38, [])
    world.delete_file(38)
    return world


def _moved(recording: Recording) -> World:
    """The river picture, moved: the old title is a redirect page with id 47."""
    world = study_world()
    page = world.pages[41]
    assert page.file is not None
    page.file.uploaded_at = "2026-11-21T01:22:40Z"
    world.next_page_id, world.next_revid = 47, 79
    world.edit_wikitext(41, "x" * 207)
    world.next_revid = 79
    world.set_clock("2026-11-21T01:25:24Z")
    world.move_file(41, "File:Study river 06 renamed.jpg")
    redirect = world.pages[47]
    world.next_revid = 80
    world.set_clock("2026-11-21T01:25:24Z")
    redirect.revisions = [world.first_revision("#REDIRECT [[File:Study river 06 renamed.jpg]]", "Tester")]
    return world


def _pages(recording: Recording) -> World:
    world = study_world()
    for page in recording.body["query"]["pages"]:
        put_page_facts(world, page)
    _join_category(world, recording)
    return world


def _histories(recording: Recording) -> World:
    world = study_world()
    for page in recording.body["query"]["pages"]:
        put_revisions(world, page)
    return world


def _members(recording: Recording) -> World:
    world = study_world()
    _join_category(world, recording)
    return world


def _join_category(world: World, recording: Recording) -> None:
    """The files of the category: those recorded with their time of joining, then the house and the others."""
    for member in recording.body["query"].get("categorymembers", []):
        world.set_clock(member["timestamp"])
        world.set_categories(member["pageid"], [CATEGORY])
    for page_id in (36, 37, 38, 39, 40, 41, 42, 43):
        if not world.pages[page_id].categories:
            world.set_categories(page_id, [CATEGORY])


def _house_picture(recording: Recording) -> World:
    world = _pages(recording)
    house = world.pages[39].file
    assert house is not None
    house.source = picture(670, 480)
    return world


def _siteinfo(recording: Recording) -> World:
    world = study_world(skip=frozenset({48}))
    world.add_page("Talk:Something", 1, "", page_id=46)
    return world


def _blocked(recording: Recording) -> World:
    world = study_world()
    world.put_person(Person("Tester", "4", blocked=True))
    return world


def _study(recording: Recording) -> World:
    return study_world()


TIMES = VOLATILE | {"timestamp", "modified"}
SIZES = VOLATILE | {"size"}
BLOCK_TIMES = VOLATILE | {
    *("blockedtimestamp", "blockexpiry", "blockedtimestampformatted", "blockexpiryformatted", "blockexpiryrelative")
}
# Thumbnails beside the one asked for: MediaWiki's own rounding (639px for twice 320) is not worth copying.
PICTURES = VOLATILE | {"size", "responsiveUrls"}

# name (pattern) of recordings -> how to make the world, what cannot be equal
REPLAYED: tuple[tuple[str, Prepare, frozenset[str]], ...] = (
    ("read-claims-*", _claims, VOLATILE),
    ("read-entity-of-deleted-file", _deleted, VOLATILE),
    ("read-entity-of-redirect-page-id*", _moved, VOLATILE),
    ("read-entity-invalid-id", _study, VOLATILE),
    ("read-entity-mixed-valid-and-invalid-ids", _study, VOLATILE),
    ("read-entity-too-many-ids", _study, VOLATILE),
    ("read-items-labels", _study, VOLATILE),
    ("read-property-p180", _study, VOLATILE),
    ("read-*", _entities, VOLATILE),
    ("conflict-?-after", _entities, VOLATILE),
    ("retry-own-guid-after", _entities, VOLATILE),
    ("entitydata-json", _entities, VOLATILE),
    ("maxlag-minus-one-on-single-server-wiki", _entities, VOLATILE),
    ("warning-unknown-parameter", _study, VOLATILE),
    ("error-unknown-action", _study, VOLATILE),
    ("error-maxlag*", _study, VOLATILE),
    ("error-assert*", _study, VOLATILE),
    ("error-missing-token-with-assert-and-no-session", _study, VOLATILE),
    ("error-session-lost-with-assert", _study, VOLATILE),
    ("search-entities-*", _study, VOLATILE),
    ("query-search-files", _study, VOLATILE),
    ("query-categorymembers-page1", _members, VOLATILE),
    ("query-categorymembers-generator", _pages, PICTURES),
    ("query-imageinfo", _house_picture, PICTURES),
    ("query-old-title-after-move*", _moved, VOLATILE),
    ("query-revision-with-mediainfo-slot", _histories, VOLATILE),
    ("query-revisions-*", _histories, SIZES),
    ("query-siteinfo-general", _siteinfo, VOLATILE),
    ("query-tokens*", _study, VOLATILE),
    ("query-userinfo-blocked", _blocked, BLOCK_TIMES),
    ("query-userinfo-*", _study, VOLATILE),
)
SIGNED_IN = (
    "query-tokens",
    "query-userinfo-logged-in",
    "query-userinfo-blocked",
    "error-assertbotfailed",
    "error-assertnameduserfailed",
)


def _matching(name: str) -> tuple[Prepare, frozenset[str]] | None:
    return next(
        ((prepare, volatile) for pattern, prepare, volatile in REPLAYED if fnmatch.fnmatch(name, pattern)), None
    )


def _not_yet(name: str) -> str | None:
    return next((reason for pattern, reason in NOT_YET if fnmatch.fnmatch(name, pattern)), None)


def _names() -> list[str]:
    try:
        recordings = load_recordings(reference_folder() / "commons-api")
    except pytest.skip.Exception:
        return []
    return [name for name in recordings if _not_yet(name) is None and _matching(name) is not None]


@pytest.fixture(scope="module")
def recordings() -> Mapping[str, Recording]:
    return load_recordings(reference_folder() / "commons-api")


def _ask(standin: StandInCommons, recording: Recording) -> httpx2.Response:
    headers = dict(AGENT)
    if recording.name in SIGNED_IN:
        headers["Authorization"] = f"Bearer {standin.oauth.token_for('4')}"
    if recording.name == "entitydata-json":
        return httpx2.get(f"{standin.base_url}/wiki/Special:EntityData/M39.json", headers=headers)
    if recording.method == "POST":
        return httpx2.post(standin.api_url, data=dict(recording.params), headers=headers)
    return httpx2.get(standin.api_url, params=dict(recording.params), headers=headers)


@pytest.mark.parametrize("name", _names())
def test_the_stand_in_answers_as_recorded(name: str, recordings: Mapping[str, Recording]) -> None:
    recording = recordings[name]
    matched = _matching(name)
    assert matched is not None
    prepare, volatile = matched
    with StandInCommons(prepare(recording)) as standin:
        standin.lag = 7.5 if name.startswith("error-maxlag") else None
        answer = _ask(standin, recording)
        expected: Any = at_address(recording.body, standin.base_url)
    assert differences(expected, answer.json(), volatile) == []
    assert answer.status_code == recording.status
    recorded = {key.lower(): value for key, value in recording.headers.items()}
    for header in (key.lower() for key in HEADERS):
        assert answer.headers.get(header) == recorded.get(header), header
    assert answer.headers["content-type"].lower() == recorded.get("content-type", "application/json").lower()


def test_every_recording_is_replayed_or_named_as_not_yet(recordings: Mapping[str, Recording]) -> None:
    elsewhere = [name for name in recordings if name.startswith("oauth2-") and _not_yet(name) is None]
    forgotten = [
        name for name in recordings if name not in elsewhere and _matching(name) is None and _not_yet(name) is None
    ]
    assert forgotten == []


def test_no_reason_is_kept_for_a_recording_that_is_gone(recordings: Mapping[str, Recording]) -> None:
    idle = [pattern for pattern, _ in NOT_YET if not any(fnmatch.fnmatch(name, pattern) for name in recordings)]
    assert idle == []
