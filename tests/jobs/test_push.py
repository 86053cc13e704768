"""The push, through the stand-in Commons: what is said, and what is left unsaid because of what stands there."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from icones.models import (
    EditAction,
    EditState,
    Figure,
    Illustration,
    JobKind,
    JobState,
)
from tests.support.commons import ADMIRAL, LADY, WHITE
from tests.support.standin import depicts
from tests.support.standin.statements import Snak
from tests.support.writing import BOT, Desk

ORDER, GENUS = "Q900", "Q910"
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


# ---- the ordinary way


def test_what_people_verified_is_said_with_the_batch_in_its_summary(desk: Desk) -> None:
    for place, qid in enumerate((ADMIRAL, LADY, WHITE)):
        desk.says(place, qid)
    run = desk.sent()
    assert (run.state, run.result["done"], run.result["left"], run.result["stopped"]) == (JobState.DONE, 3, 0, "")
    for place, (row, qid) in enumerate(zip(desk.edits(), (ADMIRAL, LADY, WHITE), strict=True)):
        assert desk.qids(place) == [qid]
        revision = desk.world.pages[desk.pages[place]].latest
        assert (row.revision, row.account, row.attempts) == (revision.revid, BOT, 1)
        assert (revision.user, revision.is_bot) == (BOT, True)
        assert "the campaign “Album”" in revision.comment
        assert f"[[:toolforge:editgroups-commons/b/icones/{row.summary.split('/')[-1][:12]}|details]]" in row.summary
        assert revision.comment.endswith(row.summary)
    assert desk.run(JobKind.PUSH).result["done"] == 0
    assert len(desk.writes()) == 3


@sqlite_only
def test_the_look_before_writes_nothing_and_tells_what_is_then_sent(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    desk.says(1, LADY)
    desk.world.add_statement(desk.pages[1], LADY)
    desk.commons.calls.clear()
    planned = desk.run(JobKind.PUSH, dry_run=True).result["planned"]
    assert desk.writes() == []
    assert [(one["would_write"], one["outcome"]) for one in planned] == [(True, "write"), (False, "already_there")]
    assert [row.state for row in desk.edits()] == [EditState.WAITING] * 2
    desk.sent()
    (said,) = desk.writes()
    assert json.loads(said.params["claim"]) == planned[0]["claim"]
    before, _, after = planned[0]["summary"].partition("…")
    assert said.params["summary"].startswith(before)
    assert said.params["summary"].endswith(after)
    assert planned[0]["account"] == BOT


@sqlite_only
def test_a_write_carries_what_good_manners_ask_for(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    desk.sent()
    (said,) = desk.writes()
    assert (said.params["assertuser"], said.params["maxlag"], said.params["bot"]) == (BOT, "5", "1")
    assert said.params["ignoreduplicatemainsnak"] == "1"
    assert "baserevid" not in said.params
    assert "tags" not in said.params


# ---- what stands on the file


@dataclass(frozen=True)
class Case:
    """What others did to a file, and how the edit that says ADMIRAL ends there."""

    do: Callable[[Desk, int], object]
    state: EditState
    reason: str
    writes: int = 0
    after: tuple[str, ...] = ()


def stated(qid: str | None, rank: str = "normal") -> Callable[[Desk, int], object]:
    return lambda desk, page: desk.world.add_statement(page, qid, rank=rank)


def says_nothing(desk: Desk, page: int) -> None:
    desk.world.set_statements(page, [{"mainsnak": Snak("P180", snaktype="novalue").to_json(), "rank": "normal"}])


def text(words: str) -> Callable[[Desk, int], object]:
    return lambda desk, page: desk.world.edit_wikitext(page, words)


def becomes_redirect(desk: Desk, page: int) -> None:
    desk.world.pages[page].redirect_to = desk.world.pages[desk.pages[1]].title


def takes_a_filter(desk: Desk, page: int) -> None:
    desk.world.add_filter(lambda user, title, summary: user == BOT, "no robots")


def takes_a_warning(desk: Desk, page: int) -> None:
    desk.world.add_filter(lambda user, title, summary: user == BOT, "think twice", warns=True)


CASES = {
    "somebody else said it": Case(stated(ADMIRAL), EditState.ALREADY_THERE, "says it already", 0, (ADMIRAL,)),
    "marked as wrong": Case(stated(ADMIRAL, "deprecated"), EditState.CONFLICT, "marked this very statement"),
    "a narrower one": Case(stated("Q920"), EditState.BLOCKED, "narrower taxon"),
    "a broader one": Case(stated(GENUS), EditState.BLOCKED, "broader taxon"),
    "the broadest one": Case(stated(ORDER), EditState.BLOCKED, "broader taxon"),
    "a broader one marked as wrong": Case(stated(GENUS, "deprecated"), EditState.DONE, "", 1),
    "a sister": Case(stated(LADY), EditState.DONE, "", 1),
    "what is no taxon": Case(stated("Q42"), EditState.DONE, "", 1),
    "some value": Case(stated(None), EditState.DONE, "", 1),
    "{{nobots}}": Case(text("A plate. {{nobots}}"), EditState.REFUSED, "leave it alone"),
    "{{bots|deny=}} of us": Case(text("{{bots|deny=IconesBot}}"), EditState.REFUSED, "leave it alone"),
    "{{bots|deny=}} of others": Case(text("{{bots|deny=OtherBot}}"), EditState.DONE, "", 1),
    "{{bots|allow=}} of others": Case(text("{{bots|allow=OtherBot}}"), EditState.REFUSED, "leave it alone"),
    "protected": Case(lambda desk, page: desk.world.protect(page), EditState.REFUSED, "protectedpagetext", 1),
    "deleted": Case(lambda desk, page: desk.world.delete_file(page), EditState.REFUSED, "no longer on the wiki"),
    "moved": Case(lambda desk, page: desk.world.move_file(page, "Moved.jpg"), EditState.DONE, "", 1),
    "a redirect now": Case(becomes_redirect, EditState.REFUSED, "points to another file"),
    "an edit filter": Case(takes_a_filter, EditState.REFUSED, "abusefilter-disallowed", 1),
    "an edit filter that warns": Case(takes_a_warning, EditState.REFUSED, "think twice", 1),
}


@sqlite_only
@pytest.mark.parametrize("name", CASES)
def test_what_others_did_between_the_sync_and_the_push(desk: Desk, name: str) -> None:
    case = CASES[name]
    desk.world.taxa.add("Vanessa atalanta fulva", "subspecies", qid="Q920", parents=(ADMIRAL,))
    desk.world.add_entity("Q42", {"en": "meadow"})
    desk.says(0, ADMIRAL)
    case.do(desk, desk.pages[0])
    foreign = set() if desk.pages[0] not in desk.world.pages else set(desk.qids(0)) if name != "some value" else set()
    run = desk.sent()
    row = desk.only()
    assert (row.state, run.state, len(desk.writes())) == (case.state, JobState.DONE, case.writes)
    assert case.reason in row.reason
    if case.state is EditState.DONE:
        assert any(one["id"] == row.guid for one in desk.stated(0))
    elif desk.pages[0] in desk.world.pages:
        assert set(desk.qids(0)) == foreign
        assert desk.written_by() == []


@sqlite_only
def test_a_curator_insists_beside_a_broader_taxon_and_not_beside_a_narrower(desk: Desk) -> None:
    desk.world.add_statement(desk.pages[0], GENUS)
    desk.world.add_statement(desk.pages[1], ADMIRAL)
    desk.says(0, ADMIRAL)
    desk.says(1, GENUS)
    desk.sent()
    assert [(row.state, row.blocked_by) for row in desk.edits()] == [
        (EditState.BLOCKED, GENUS),
        (EditState.BLOCKED, ADMIRAL),
    ]
    for row in desk.edits():
        desk.insist(row)
    desk.push()
    assert [row.state for row in desk.edits()] == [EditState.DONE, EditState.BLOCKED]
    assert (desk.qids(0), desk.qids(1)) == ([GENUS, ADMIRAL], [ADMIRAL])


@sqlite_only
def test_what_somebody_removed_before_we_ever_wrote_is_not_brought_back(desk: Desk) -> None:
    guid = desk.world.add_statement(desk.pages[0], ADMIRAL)
    desk.run(JobKind.SYNC)
    desk.world.remove_statement(desk.pages[0], guid)
    desk.run(JobKind.SYNC)
    desk.says(0, ADMIRAL)
    desk.sent()
    row = desk.only()
    assert (row.state, desk.writes()) == (EditState.CONFLICT, [])
    assert "took this statement away before" in row.reason
    desk.insist(row)
    desk.push()
    assert (desk.only().state, desk.qids(0)) == (EditState.DONE, [ADMIRAL])


@sqlite_only
@pytest.mark.parametrize(
    ("said", "wanted", "state"),
    [
        ((ADMIRAL,), ADMIRAL, EditState.ALREADY_THERE),
        ((ADMIRAL,), GENUS, EditState.ALREADY_THERE),
        ((GENUS,), ADMIRAL, EditState.DONE),
        ((), ADMIRAL, EditState.DONE),
    ],
)
def test_the_item_of_the_work_may_say_it_already(
    desk: Desk, said: tuple[str, ...], wanted: str, state: EditState
) -> None:
    desk.world.add_entity("Q700", {"en": "The plate itself"}, statements=[depicts(qid) for qid in said])
    desk.world.add_statement(desk.pages[0], "Q700", prop="P6243")
    desk.says(0, wanted)
    desk.sent()
    assert desk.only().state is state
    assert (("Q700" in desk.only().reason), desk.qids(0)) == (
        (True, []) if state is EditState.ALREADY_THERE else (False, [wanted])
    )


@sqlite_only
def test_two_figures_of_one_taxon_make_one_statement_with_both_boxes(desk: Desk) -> None:
    desk.world.add_entity("P2677", {"en": "box"}, datatype="string")
    desk.add_figures("pct:10,10,20,20", "pct:50,50,20,20")
    desk.says(3, ADMIRAL)
    desk.says(4, ADMIRAL)
    desk.sent()
    assert [row.state for row in desk.edits()] == [EditState.DONE, EditState.ALREADY_THERE]
    (said,) = desk.stated(0)
    assert said["rank"] == "normal"
    boxes = [one["datavalue"]["value"] for one in said["qualifiers"]["P2677"]]
    assert boxes == ["pct:10,10,20,20", "pct:50,50,20,20"]

    # The first figure turns out to be something else: the statement stays, as the second one still says it.
    desk.says(3, LADY)
    desk.sent()
    assert sorted(desk.qids(0)) == [ADMIRAL, LADY]
    assert desk.edits(EditAction.REMOVE) == []

    # And when nobody says it any more, it goes.
    desk.says(4, WHITE)
    desk.sent()
    assert sorted(desk.qids(0)) == sorted([LADY, WHITE])
    assert desk.only(EditAction.REMOVE).state is EditState.DONE


@sqlite_only
def test_a_taxon_comes_back_when_another_figure_says_it_after_it_was_taken_back(desk: Desk) -> None:
    desk.says(0, ADMIRAL)
    desk.sent()
    desk.says(0, LADY)
    desk.sent()
    assert desk.qids(0) == [LADY]
    desk.run(JobKind.SYNC)
    desk.says(0, ADMIRAL)
    desk.sent()
    assert desk.qids(0) == [ADMIRAL]
    assert [(row.qid, row.state, row.undone_at is not None) for row in desk.edits()] == [
        (ADMIRAL, EditState.DONE, True),
        (LADY, EditState.DONE, True),
        (ADMIRAL, EditState.DONE, False),
    ]


@sqlite_only
@pytest.mark.parametrize("known", [True, False])
def test_properties_that_the_wiki_lacks_are_left_off(desk: Desk, known: bool) -> None:
    if known:
        for name, kind in (("P2677", "string"), ("P5997", "string"), ("P887", "wikibase-item")):
            desk.world.add_entity(name, {"en": name}, datatype=kind)
        desk.world.add_entity("Q800", {"en": "named by people in a campaign"})
    desk.settings = desk.settings.model_copy(update={"heuristic_item": "Q800"})
    with desk.database.writing() as session:
        file = session.get_one(Illustration, 1)
        file.verbatim_name = "  Papilio   Atalanta Linn. "
        session.add(file)
    desk.add_figures("pct:10,10,20,20")
    desk.says(3, ADMIRAL)
    desk.sent()
    (said,) = desk.stated(0)
    assert ("qualifiers" in said, "references" in said) == (known, known)
    if known:
        (source,) = said["references"]
        values = {name: snaks[0]["datavalue"]["value"] for name, snaks in source["snaks"].items()}
        assert (values["P5997"], values["P887"]["id"]) == ("Papilio Atalanta Linn.", "Q800")


@sqlite_only
def test_a_box_that_the_wiki_would_not_take_stops_its_own_edit_and_no_other(desk: Desk) -> None:
    desk.world.add_entity("P2677", {"en": "box"}, datatype="string")
    desk.add_figures("pct:10,10,20,20")
    with desk.database.writing() as session:
        figure = session.get_one(Figure, desk.figures[3])
        figure.box = "pct:1e-05,10,20,20"
        session.add(figure)
    desk.says(3, ADMIRAL)
    desk.says(1, LADY)
    (first, second) = desk.run(JobKind.PUSH, dry_run=True).result["planned"]
    assert (first["would_write"], second["would_write"]) == (False, True)
    run = desk.sent()
    assert (run.problem, [row.state for row in desk.edits()]) == ("", [EditState.REFUSED, EditState.DONE])
    assert desk.edits()[0].reason == "It cannot be said on the wiki: not a place on a picture: 'pct:1e-05,10,20,20'."


@sqlite_only
def test_one_species_alone_is_prominent_and_one_of_several_is_not(desk: Desk) -> None:
    desk.world.add_statement(desk.pages[1], LADY)
    desk.world.add_entity("Q42", {"en": "meadow"})
    desk.world.add_statement(desk.pages[2], "Q42")
    for place in range(3):
        desk.says(place, ADMIRAL)
    desk.sent()
    ours = {row.guid for row in desk.edits()}
    ranks = [next(one["rank"] for one in desk.stated(place) if one["id"] in ours) for place in range(3)]
    assert ranks == ["preferred", "normal", "preferred"]
