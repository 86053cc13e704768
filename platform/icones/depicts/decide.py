"""The careful decision: what may be done about one depicts edit, seeing the file as it is now. Pure.

Nothing is said twice, nothing less exact than what stands there, nothing that somebody took away or marked as wrong.
The rules are those that earlier tools were reproached for lacking: no ancestor beside a descendant, no repetition
of a removed statement, no edit of a page that asks to be left alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from icones.models import EditState
from wiki_sync import Depicts

Lineages = Mapping[str, Sequence[str]]
"""For each Q-id its lineage: itself first, then its ancestors. An item that is no taxon is absent."""


BROADER_THERE = "A broader taxon is stated already; a curator decides whether this is said beside it."


class Step(StrEnum):
    """What is to be done."""

    WRITE = "write"
    END = "end"


@dataclass(frozen=True)
class Decision:
    """Write, or end in a state with its reason in words."""

    step: Step
    state: EditState = EditState.SENDING
    reason: str = ""
    blocked_by: str | None = None


WRITE = Decision(Step.WRITE)


@dataclass(frozen=True)
class Page:
    """The file as it is now, as far as the decision needs it."""

    exists: bool
    is_redirect: bool = False
    depicts: tuple[Depicts, ...] = ()
    asks_to_be_left: bool = False
    """It carries a template that keeps bots, or this account, away."""
    work: str | None = None
    """The item of the work that the file is a digital representation of (P6243), if it says what it depicts."""
    said_of_work: frozenset[str] = frozenset()
    """What that item says it depicts."""


@dataclass(frozen=True)
class Wanted:
    """The statement that an edit wants to make."""

    guid: str
    qid: str
    insists: bool = False
    """A person looked and wants it said beside a broader taxon, or again."""
    was_taken_away: bool = False
    """The mirror saw it stated on this file before, and then no more."""
    leaving: frozenset[str] = field(default_factory=frozenset)
    """GUIDs of statements of ours that are on their way out: they count as absent."""


def decide_add(wanted: Wanted, page: Page, lineages: Lineages) -> Decision:
    """Return what is to be done about a statement that is to be added."""
    if not page.exists:
        return _end(EditState.REFUSED, "The file is no longer on the wiki.")
    if page.is_redirect:
        return _end(EditState.REFUSED, "The page only points to another file now.")
    own = next((one for one in page.depicts if one.statement_id == wanted.guid), None)
    if own is not None:
        return _of_own(own, wanted.qid)
    standing = [one for one in page.depicts if one.statement_id not in wanted.leaving]
    same = [one for one in standing if one.qid == wanted.qid]
    if any(one.rank != "deprecated" for one in same):
        return _end(EditState.ALREADY_THERE, "The file says it already, in a statement that is not this edit's.")
    if same:
        return _end(EditState.CONFLICT, "Somebody marked this very statement as wrong (deprecated).")
    if any(one.snaktype == "novalue" and one.rank != "deprecated" for one in standing):
        return _end(EditState.CONFLICT, "Somebody stated that the file depicts nothing.")
    live = {one.qid for one in standing if one.qid and one.rank != "deprecated"}
    blocked = _blocked(wanted, live, lineages)
    if blocked is not None:
        return blocked
    if wanted.was_taken_away and not wanted.insists:
        return _end(EditState.CONFLICT, "Somebody took this statement away before; a person must decide.")
    if page.asks_to_be_left:
        return _end(EditState.REFUSED, "The page asks tools like this one to leave it alone.")
    if wanted.qid in page.said_of_work or _narrower(wanted.qid, page.said_of_work, lineages):
        return _end(EditState.ALREADY_THERE, f"The item of the work itself ({page.work}) says it.")
    return WRITE


def decide_remove(statement: Mapping[str, object] | None, is_as_written: bool, page: Page) -> Decision:
    """Return what is to be done about a statement of ours that is to be taken back.

    ``statement`` is what now stands under its GUID, None if nothing does.
    """
    if not page.exists:
        return _end(EditState.ALREADY_THERE, "Nothing to take back: the file is no longer on the wiki.")
    if statement is None:
        return _end(EditState.ALREADY_THERE, "Nothing to take back: the statement is gone.")
    if not is_as_written:
        return _end(EditState.CONFLICT, "Somebody has changed or added to the statement since; it is left as it is.")
    if page.asks_to_be_left:
        return _end(EditState.REFUSED, "The page asks tools like this one to leave it alone.")
    return WRITE


def _of_own(own: Depicts, qid: str) -> Decision:
    if own.qid != qid:
        return _end(EditState.CONFLICT, f"Somebody changed our statement to {own.qid or own.snaktype}.")
    if own.rank == "deprecated":
        return _end(EditState.CONFLICT, "Somebody marked our statement as wrong (deprecated).")
    return _end(EditState.DONE, "")


def _blocked(wanted: Wanted, live: Collection[str], lineages: Lineages) -> Decision | None:
    narrower = _narrower(wanted.qid, live, lineages)
    if narrower:
        reason = "A narrower taxon is stated already, which says more."
        return Decision(Step.END, EditState.BLOCKED, reason, narrower)
    broader = next((qid for qid in lineages.get(wanted.qid, ())[1:] if qid in live), None)
    if broader and not wanted.insists:
        return Decision(Step.END, EditState.BLOCKED, BROADER_THERE, broader)
    return None


def _narrower(qid: str, others: Collection[str], lineages: Lineages) -> str | None:
    """Return one of the others (the lowest in the alphabet) that lies below ``qid``."""
    return next((one for one in sorted(others) if one != qid and qid in lineages.get(one, ())), None)


def _end(state: EditState, reason: str) -> Decision:
    return Decision(Step.END, state, reason)
