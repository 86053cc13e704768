"""The stand-in Commons answers as the recorded wiki did.

Every recording is replayed, here or in `test_standin_oauth.py`.
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
from tests.support.recorded_writes import (
    blocked_tester,
    contributions,
    known_guids,
    named_alike,
    protected_mountain,
    uploads,
    world_before,
)
from tests.support.recordings import (
    HEADERS,
    VOLATILE,
    Recording,
    at_address,
    differences,
    load_body,
    load_recordings,
)
from tests.support.standin import StandInCommons, World
from tests.support.standin.world import Person

AGENT = {"User-Agent": "IconesContractTest/1.0 (https://icones.example; test@icones.example)"}
Prepare = Callable[[Recording], World]


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


def _protected(recording: Recording) -> World:
    world = protected_mountain(recording)
    put_page_facts(world, recording.body["query"]["pages"][0])
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


def _study(recording: Recording) -> World:
    return study_world()


TIMES = VOLATILE | {"timestamp", "modified"}
SIZES = VOLATILE | {"size"}
LOG_NUMBERS = VOLATILE | {"logid"}
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
    ("query-userinfo-blocked", blocked_tester, VOLATILE),
    ("query-userinfo-*", _study, VOLATILE),
    ("query-protection-info", _protected, VOLATILE),
    ("query-usercontribs", contributions, SIZES),
    ("query-allimages-by-user", uploads, VOLATILE),
    ("write-delete-file-ok", world_before, LOG_NUMBERS),
    ("login-*", world_before, VOLATILE),
    ("oauth2-write-ok.*", world_before, VOLATILE),
    ("oauth2-error-badtoken-csrf", world_before, VOLATILE),
    *((pattern, world_before, VOLATILE) for pattern in ("write-*", "error-*", "conflict-*", "race-*", "retry-*")),
)
READS_SIGNED_IN = (
    "query-tokens",
    "query-userinfo-logged-in",
    "query-userinfo-blocked",
    "query-protection-info",
)
SIGNED_OUT = (
    "error-assertuserfailed*",
    "error-badtoken-session-lost",
    "error-missing-token-with-assert-and-no-session",
    "error-session-lost-with-assert",
    "write-anonymous-ok",
    "login-*",
)
ADMINS = ("write-delete-file-ok", "write-undelete-file-ok")
LAGGING = ("error-maxlag*", "write-under-maxlag-threshold-ok")
# The recorded writes with an access token left their parameters out; this is what their answers show.
OAUTH_WRITE = {
    "format": "json",
    "formatversion": "2",
    "action": "wbcreateclaim",
    "entity": "M43",
    "property": "P180",
    "snaktype": "value",
    "value": '{"entity-type": "item", "numeric-id": 42, "id": "Q42"}',
    "token": "<token>",
}
# What has to be asked before: the filter's warning is only given once.
FIRST_ASKED = {"write-abusefilter-warning-second-attempt": "error-abusefilter-warning-first"}


def _matching(name: str) -> tuple[Prepare, frozenset[str]] | None:
    return next(
        ((prepare, volatile) for pattern, prepare, volatile in REPLAYED if fnmatch.fnmatch(name, pattern)), None
    )


def _names() -> list[str]:
    try:
        recordings = load_recordings(reference_folder() / "commons-api")
    except pytest.skip.Exception:
        return []
    return [name for name in recordings if _matching(name) is not None]


@pytest.fixture(scope="module")
def recordings() -> Mapping[str, Recording]:
    return load_recordings(reference_folder() / "commons-api")


def _is(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _asker(name: str) -> Person:
    """Who asked."""
    wanted = "Admin" if _is(name, ADMINS) else "TestBot" if name == "write-edit-summary-and-bot-flag-ok" else "Tester"
    return study_world().people[wanted]


def _is_signed_in(recording: Recording) -> bool:
    if _is(recording.name, SIGNED_OUT):
        return False
    writes = "token" in recording.params or recording.name.startswith(("oauth2-write-ok", "error-assert"))
    return writes or recording.name in READS_SIGNED_IN


def _headers(standin: StandInCommons, recording: Recording) -> dict[str, str]:
    if not _is_signed_in(recording):
        return AGENT
    client = "icones-public" if recording.name.endswith("oauth2-public") else "icones-test"
    return {**AGENT, "Authorization": f"Bearer {standin.oauth.token_for(_asker(recording.name).sub, client)}"}


def _params(standin: StandInCommons, recording: Recording, client: httpx2.Client) -> dict[str, str]:
    """What was asked, with a good token (or a bad one, where the recording is about that) for the blank."""
    params = dict(OAUTH_WRITE if recording.name.startswith("oauth2-write-ok") else recording.params)
    if params.get("action") == "login":
        asked = {"action": "query", "meta": "tokens", "type": "login", "format": "json"}
        token = client.get(standin.api_url, params=asked).json()["query"]["tokens"]["logintoken"]
        params["lgtoken"] = "not the token" if "wrong-token" in recording.name else token
        params["lgpassword"] = "not the password" if "wrong-password" in recording.name else "the right password"
    if params.get("token") == "<token>":
        asked = {"action": "query", "meta": "tokens", "format": "json"}
        bearer = {"Authorization": f"Bearer {standin.oauth.token_for(_asker(recording.name).sub)}"}
        token = client.get(standin.api_url, params=asked, headers=bearer).json()["query"]["tokens"]["csrftoken"]
        params["token"] = f"x{token}" if recording.name == "error-badtoken" else token
    return params


def _ask(standin: StandInCommons, recording: Recording) -> httpx2.Response:
    with httpx2.Client(headers=_headers(standin, recording)) as client:
        params = _params(standin, recording, client)
        if recording.method == "POST":
            return client.post(standin.api_url, data=params)
        return client.get(standin.api_url, params=params)


@pytest.mark.parametrize("name", _names())
def test_the_stand_in_answers_as_recorded(name: str, recordings: Mapping[str, Recording]) -> None:
    recording = recordings[name]
    matched = _matching(name)
    assert matched is not None
    prepare, volatile = matched
    world = prepare(recording)
    known = known_guids(world, recording)
    with StandInCommons(world) as standin:
        standin.lag = 7.5 if _is(name, LAGGING) else None
        if name in FIRST_ASKED:
            assert "abusefilter-warning" in _ask(standin, recordings[FIRST_ASKED[name]]).text
        answer = _ask(standin, recording)
        expected: Any = at_address(recording.body, standin.base_url)
    assert differences(named_alike(expected, known), named_alike(answer.json(), known), volatile) == []
    assert answer.status_code == recording.status
    recorded = {key.lower(): value for key, value in recording.headers.items()}
    for header in (key.lower() for key in HEADERS):
        assert answer.headers.get(header) == recorded.get(header), header
    assert answer.headers["content-type"].lower() == recorded.get("content-type", "application/json").lower()


def test_every_recording_is_replayed(recordings: Mapping[str, Recording]) -> None:
    forgotten = [name for name in recordings if _matching(name) is None and not name.startswith("oauth2-")]
    assert forgotten == []
    assert len(recordings) == len(_names()) + 24, "test_standin_oauth.py replays the other ones of OAuth"


def test_no_rule_is_kept_for_a_recording_that_is_gone(recordings: Mapping[str, Recording]) -> None:
    used = {next(i for i, row in enumerate(REPLAYED) if fnmatch.fnmatch(name, row[0])) for name in _names()}
    assert [row[0] for i, row in enumerate(REPLAYED) if i not in used] == []


def test_entity_data_of_a_page_is_as_recorded() -> None:
    body = load_body(reference_folder() / "commons-api", "entitydata-json")
    world = study_world()
    put_entity(world, body["entities"]["M39"])
    with StandInCommons(world) as standin:
        answer = httpx2.get(f"{standin.base_url}/wiki/Special:EntityData/M39.json", headers=AGENT)
    assert differences(body, answer.json()) == []


def test_an_upload_answers_as_recorded() -> None:
    body = load_body(reference_folder() / "commons-api", "upload-ok")
    world = study_world(skip=frozenset({48}))
    world.set_clock(body["upload"]["imageinfo"]["timestamp"])
    form = {"action": "upload", "filename": "Study untouched 11.jpg", "format": "json", "formatversion": "2"}
    with StandInCommons(world) as standin, httpx2.Client(headers=AGENT) as client:
        client.headers["Authorization"] = f"Bearer {standin.oauth.token_for('4')}"
        asked = {"action": "query", "meta": "tokens", "format": "json"}
        form["token"] = client.get(standin.api_url, params=asked).json()["query"]["tokens"]["csrftoken"]
        answer = client.post(standin.api_url, data=form, files={"file": ("a.jpg", picture(300, 200), "image/jpeg")})
        expected = at_address(body, standin.base_url)
    assert differences(expected, answer.json(), VOLATILE | {"size"}) == []
    assert world.page_by_title("File:Study untouched 11.jpg") is not None
