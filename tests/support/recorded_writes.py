"""The recorded wiki just before each recorded write: who had said what on the file by then.

The statements are those that the recordings themselves show or name; where another user's edit in between is not
recorded, it is made as the name of the recording tells it.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support.recorded_world import FILES, picture, statement_of, study_world
from tests.support.recordings import Recording
from tests.support.standin.rules import Block, Protection
from tests.support.standin.statements import Statement, item, none, unknown
from tests.support.standin.world import World

Json = Mapping[str, Any]
State = Sequence[Statement] | str | None
GUID = re.compile(r"M\d+\$[0-9A-Fa-f-]{36}")
MAINTENANCE = "Maintenance of the database, back in a few minutes"
OTHER = "Admin"
TEST_CARD = 44


def said(guid: str, qid: str, rank: str = "normal", part: str | None = None) -> Statement:
    """A depicts statement; `part` is the item of its P518 qualifier."""
    return Statement(item("P180", qid), rank, (item("P518", part),) if part else (), guid)


def put_states(world: World, page_id: int, *states: tuple[int, str, State]) -> World:
    """Give a page revisions (id, user, what): statements, or a text. None stands for the file as uploaded."""
    page = world.pages[page_id]
    for revid, user, state in states:
        world.next_revid = revid
        if state is None:
            page.revisions = [world.first_revision("", user)]
        elif isinstance(state, str):
            world.edit_wikitext(page_id, state, user)
        else:
            world.set_statements(page_id, state, user)
    return world


def with_test_card() -> World:
    """The study world with the file that some of the recordings wrote to and the others do not show."""
    world = study_world()
    world.next_revid = TEST_CARD
    world.add_file("File:Study test card 09.png", picture(640, 480), page_id=TEST_CARD, uploader="Tester", wikitext="")
    return world


# ---- what can be read off the answer


def as_answered(recording: Recording) -> World:
    """The file with the statements of the answer, without those that the request added and with those it removed."""
    world = with_test_card()
    entity = recording.body.get("entity", {})
    if not isinstance(entity.get("statements"), dict):
        return world
    page_id = int(entity["id"].removeprefix("M"))
    after = [statement_of(one) for group in entity["statements"].values() for one in group]
    claims = json.loads(recording.params["data"]).get("claims", [])
    asked = claims if isinstance(claims, list) else [one for group in claims.values() for one in group]
    added = [one for one in asked if "remove" not in one]
    before = after[: len(after) - len(added)] if "nochange" not in entity else after
    before = [*before, *(said(one["id"], "Q4022") for one in asked if "remove" in one)]
    if before:
        unchanged = "nochange" in entity
        put_states(world, page_id, (entity["lastrevid"] - (not unchanged), "Tester", before))
    return world


def _bicycle(*states: tuple[int, str, State]) -> World:
    return put_states(study_world(), 38, *states)


FIRST = said("M38$9DD64968-9202-4481-89F6-FBA54E7073FC", "Q11442")
SECOND = said("M38$7D6F86E0-0ECB-4529-96C3-22119466D592", "Q5")
THIRD = said("M38$64E3CB2C-ADD8-4539-BE18-C864F4A5E775", "Q5")
UNKNOWN = Statement(unknown("P180"), guid="M40$DF5E1636-B1AC-41EA-8ED8-2B1B08E72251")
NONE = Statement(none("P180"), guid="M40$9A24F202-CBD2-4D18-8589-9043985187BA")
BEACH = said("M41$62E14C6D-607B-4F92-9819-8045AB454477", "Q4022")
BENCH = said("M41$87153533-1856-43E6-83C9-2C2B6F29B90D", "Q8502")
HOUSE = "M39$ACF3878E-BBC6-4837-BE47-15B1CD5276D3"
TREE = "M39$5CD11205-90C7-4937-B2D7-B1F47B5F37BA"
PARIS = said("M42$39F869B0-B9F5-44A2-BB4D-0B8F72433A29", "Q90")
CARD = said("M44$7B374D6B-38EC-4B03-880A-98471C6B42EC", "Q144786")
TOWN = said("M44$3F436D81-F8F1-47F9-AD81-33936131CCCD", "Q515")
CAT = said("M41$CD7511BB-07DD-4C9C-B28B-0EFFF9C21059", "Q146")
OWN = said("M41$f54f0ec5-f5df-498a-af53-ba656555ef96", "Q5")


def _house(up_to: int) -> World:
    """The house picture: two statements, a qualifier, and then one edit after another on top of revision 52."""
    house, tree = said(HOUSE, "Q3947", "preferred"), said(TREE, "Q10884")
    in_part, other = said(TREE, "Q10884", part="Q13217555"), said(HOUSE, "Q90", "preferred")
    further = [
        said("M39$720463D0-7C62-4AA1-90BC-6D23C9574AB9", "Q90"),
        said("M39$CB60D8B4-2483-493E-B517-CA2CE4253D7C", "Q243"),
        said("M39$0DDB76B7-8896-40E1-BBA4-77AD6CF9FA9B", "Q42"),
    ]
    states: list[tuple[int, str, State]] = [
        (51, "Tester", [house, tree]),
        (52, "Tester", [house, in_part]),
        (62, OTHER if up_to > 62 else "Tester", [other, in_part]),
        *((63 + i, OTHER if i == 0 else "Tester", [other, in_part, *further[: i + 1]]) for i in range(3)),
    ]
    return put_states(study_world(), 39, *(state for state in states if state[0] <= up_to))


def _river(*states: tuple[int, str, State]) -> World:
    return put_states(study_world(), 41, *states)


def _conflict(revid: int, guid: str, before: str, after: str | None) -> World:
    """A statement at `revid`, changed to another item or removed by another user in the next revision."""
    states: list[State] = [[said(guid, before)], [said(guid, after)] if after else []]
    return _river((revid, "Tester", states[0]), (revid + 1, OTHER, states[1]))


def _card(up_to: int) -> World:
    """The test card: a statement, a change of its text, a second statement, the first one removed and back."""
    back = said(str(CARD.guid), "Q144786", "preferred")
    states: list[tuple[int, str, State]] = [
        (67, "Tester", [CARD]),
        (72, OTHER, "A test card."),
        (73, "Tester", [CARD, TOWN]),
        (74, OTHER, [TOWN]),
        (75, "Tester", [TOWN, back]),
    ]
    return put_states(with_test_card(), TEST_CARD, *(state for state in states if state[0] <= up_to))


def _race(recording: Recording) -> World:
    """A file that got its first statement from another user after revision 82."""
    first = said("M48$0E797301-B8CD-41F4-88D5-D9865033318E", "Q146")
    return put_states(study_world(), 48, (82, "Tester", None), (83, OTHER, [first]))


def _redirect(recording: Recording) -> World:
    world = study_world()
    world.next_page_id = 47
    world.move_file(41, "File:Study river 06 renamed.jpg")
    return world


def _deleted(recording: Recording) -> World:
    world = _bicycle((48, "Tester", [FIRST]), (49, "Tester", [FIRST, SECOND]), (50, "Tester", [FIRST, SECOND, THIRD]))
    world.delete_file(38)
    return world


def _undo(recording: Recording) -> World:
    world = _card(75)
    if "newtimestamp" in recording.body["edit"]:
        world.next_revid = recording.body["edit"]["newrevid"]
        world.set_clock(recording.body["edit"]["newtimestamp"])
    return world


# ---- what stops a write


def _filters(recording: Recording) -> World:
    world = as_answered(recording)
    world.add_filter(lambda user, title, summary: "abusetest-disallow" in summary, "disallow by summary")
    world.add_filter(lambda user, title, summary: "abusetest-warn" in summary, "warn by summary", warns=True)
    return world


def blocked_tester(recording: Recording) -> World:
    """Tester, blocked for an hour: one block in each recording, and they are numbered."""
    world = study_world()
    number, second = {"error-blocked": (1, 26), "error-blocked.plaintext": (3, 30)}.get(recording.name, (2, 26))
    since, until = (f"2026-11-21T0{hour}:25:{second}Z" for hour in (1, 2))
    world.block("Tester", Block(number, since=since, until=until))
    return world


def protected_mountain(recording: Recording) -> World:
    """The mountain picture, protected for an hour."""
    world = study_world()
    world.rules.protections[42] = Protection("sysop", "2026-11-21T02:25:26Z")
    return world


def _throttled(recording: Recording) -> World:
    world = study_world()
    world.throttle("Tester")
    return world


def _readonly(recording: Recording) -> World:
    world = study_world()
    world.rules.readonly_reason = MAINTENANCE
    return world


def _tag_defined(recording: Recording) -> World:
    world = as_answered(recording)
    world.rules.tags.add("study-tag")
    return world


def _login(recording: Recording) -> World:
    world = study_world()
    world.add_bot_password("Tester", "local", "the right password")
    return world


def contributions(recording: Recording) -> World:
    """What Tester did last: three edits of the river picture, then one of the horse."""
    world = study_world()
    for row in reversed(recording.body["query"]["usercontribs"]):
        state = {57: [BEACH, BENCH], 58: [BENCH], 59: []}[row["revid"]]
        if row["revid"] == 57:
            world.set_clock("2026-11-21T01:25:14Z")
            put_states(world, 41, (56, "Tester", [BEACH]))
        world.set_clock(row["timestamp"])
        put_states(world, row["pageid"], (row["revid"], "Tester", state))
    world.pages[41].revisions = [one for one in world.pages[41].revisions if one.revid != 41]
    return put_states(world, 43, (60, "TestBot", []))


def uploads(recording: Recording) -> World:
    """Tester's files with the times at which the first four were uploaded; the others came later."""
    world = study_world()
    for page_id in FILES:
        stored = world.pages[page_id].file
        assert stored is not None
        stored.uploaded_at = f"2026-11-21T01:22:{39 if page_id < 39 else 40 if page_id < 42 else 41}Z"
    return world


Prepare = Callable[[Recording], World]
HORSE = said("M43$E6984D9A-92C1-4DF5-B981-08534AC6F4D3", "Q90")

# name (pattern) of a recorded write -> the wiki before it
BEFORE: tuple[tuple[str, Prepare], ...] = (
    ("write-createclaim-ok-second", lambda r: _bicycle((48, "Tester", [FIRST]))),
    (
        "write-createclaim-same-value-again",
        lambda r: _bicycle((48, "Tester", [FIRST]), (49, "Tester", [FIRST, SECOND])),
    ),
    ("write-createclaim-novalue", lambda r: put_states(study_world(), 40, (53, "Tester", [UNKNOWN]))),
    ("write-removeclaims-ok", lambda r: put_states(study_world(), 40, (54, "Tester", [UNKNOWN, NONE]))),
    ("write-setclaim-same-again-nochange", lambda r: _river((56, "Tester", [BEACH]))),
    (
        "write-edit-summary-and-bot-flag-ok",
        lambda r: put_states(study_world(), 43, (59, "Tester", [])),
    ),
    ("write-setqualifier-ok", lambda r: _house(51)),
    ("write-createclaim-old-baserevid-other-user", lambda r: _house(64)),
    ("write-old-baserevid-other-statement-merged-same-user", lambda r: _house(62)),
    ("write-old-baserevid-other-statement-other-user", lambda r: _house(63)),
    ("write-old-baserevid-only-wikitext-changed-between", lambda r: _card(72)),
    ("write-setclaim-ignoreduplicate-first", lambda r: study_world()),
    ("write-setclaim-ignoreduplicate-stale-base-1", lambda r: study_world()),
    (
        "write-setclaim-ignoreduplicate-stale-base-2-error",
        lambda r: put_states(study_world(), 43, (50, "Tester", [HORSE])),
    ),
    ("write-setclaim-ignoreduplicate-*", lambda r: put_states(study_world(), 42, (49, "Tester", [PARIS]))),
    ("write-to-redirect-page-id-ok", _redirect),
    (
        "write-delete-file-ok",
        lambda r: _bicycle((48, "Tester", [FIRST]), (49, "Tester", [FIRST, SECOND]), (50, "Tester", [])),
    ),
    ("write-undelete-file-ok", _deleted),
    ("write-undo-*", _undo),
    ("write-edit-with-tag-ok", _tag_defined),
    ("*abusefilter*", _filters),
    ("write-*", as_answered),
    (
        "conflict-A-*",
        lambda r: _conflict(100, "M41$92E40960-F536-491F-84F4-7E40059A9B07", "Q146", "Q144"),
    ),
    (
        "conflict-D-*",
        lambda r: _river(
            (109, "Tester", [said("M41$D9F6CA89-4975-45BA-B8CD-616C4EB62AE0", "Q146")]),
            (
                110,
                OTHER,
                [
                    said("M41$D9F6CA89-4975-45BA-B8CD-616C4EB62AE0", "Q146"),
                    said("M41$C5C7E64A-F05A-40E2-8C47-3BEBB648CA39", "Q90"),
                ],
            ),
        ),
    ),
    (
        "conflict-E-*",
        lambda r: _conflict(113, "M41$A52DA232-E7F2-432E-9D96-E5B9A8292B50", "Q146", "Q90"),
    ),
    (
        "error-editconflict-*",
        lambda r: _conflict(107, "M41$1AAD43F5-D865-494A-BF65-B83607D212BC", "Q146", None),
    ),
    (
        "error-editconflict*",
        lambda r: _conflict(104, "M41$FFB1E1CB-FC2A-4E14-A54D-15393F7D89B5", "Q146", "Q90"),
    ),
    ("retry-own-guid-first", lambda r: _river((116, "Tester", [CAT]))),
    ("retry-own-guid-*", lambda r: _river((116, "Tester", [CAT]), (117, "Tester", [CAT, OWN]))),
    ("race-a-*", lambda r: put_states(study_world(), 48, (82, "Tester", None))),
    ("race-[bcd]*", _race),
    ("race-*-no-baserevid", lambda r: _card(74)),
    ("race-*", lambda r: _card(74)),
    ("error-blocked*", blocked_tester),
    ("error-protectedpage*", protected_mountain),
    ("error-ratelimited*", _throttled),
    ("error-readonly*", _readonly),
    ("error-write-to-deleted-file", _deleted),
    ("error-*", lambda r: study_world()),
    ("login-*", _login),
    ("oauth2-*", lambda r: study_world()),
)


def world_before(recording: Recording) -> World:
    """The wiki as it was, with the next revision numbered as the recorded one."""
    prepare = next(prepare for pattern, prepare in BEFORE if fnmatch.fnmatch(recording.name, pattern))
    world = prepare(recording)
    body: Json = recording.body
    made = body.get("pageinfo", body.get("entity", {})).get("lastrevid")
    world.next_revid = max(world.next_revid, made or 0)
    return world


def known_guids(world: World, recording: Recording) -> frozenset[str]:
    """The statement ids that were there or that the request names; the server makes up all others."""
    entities = [one.entity for page in world.pages.values() for one in page.revisions if one.entity]
    return frozenset(GUID.findall(json.dumps([entities, dict(recording.params)])))


def named_alike(value: Any, known: frozenset[str]) -> Any:
    """The value with one name for all statement ids that the server made up."""

    def name(found: re.Match[str]) -> str:
        return found[0] if found[0] in known else f"{found[0].split('$')[0]}$MADE-BY-THE-SERVER"

    return json.loads(GUID.sub(name, json.dumps(value)))
