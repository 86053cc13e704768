"""Commands for what goes to Commons: look, send off, take back, see how it stands."""

from typing import Annotated, Any

import typer

from icones.clock import utc_now
from icones.commands.surroundings import CAMPAIGN, JSON, campaign_of, carry_out, opened, tell
from icones.db import Database
from icones.depicts import service
from icones.errors import BadInputError, NotReadyError
from icones.jobs.plan import Planned, plan
from icones.models import Campaign, EditState, JobKind, Writes

depicts = typer.Typer(help="Write verified determinations on Commons as depicts statements.", no_args_is_help=True)

PATIENCE_S = 24 * 3600.0
"""A push from the command line stays until all is written or can wait no longer; it may be killed at any moment."""
WORDS = {
    EditState.WAITING: "waiting",
    EditState.SENDING: "being sent",
    EditState.DONE: "done",
    EditState.ALREADY_THERE: "already there",
    EditState.BLOCKED: "blocked by a narrower or broader taxon",
    EditState.CONFLICT: "in conflict",
    EditState.REFUSED: "refused",
    EditState.GIVEN_UP: "given up",
}


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(depicts, name="depicts")


@depicts.command()
def allow(
    slug: Annotated[str, CAMPAIGN],
    writes: Annotated[Writes, typer.Argument(help="off, people (each in their own name) or bot.")],
    per_minute: Annotated[float, typer.Option(help="Edits a minute of the bot account; Commons asks for 4 to 6.")] = 5,
    revert_limit: Annotated[float, typer.Option(help="Pause when a larger share of our edits is reverted.")] = 0.05,
    tags: Annotated[str, typer.Option(help="Change tags, separated by |; they must exist on the wiki.")] = "",
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Say whether a campaign writes to Commons, under whose name, and how fast."""
    with opened() as (_, database):
        own = campaign_of(database, slug)
        with database.writing() as session:
            rules = service.WritingRules(writes, per_minute, revert_limit, tags)
            waiting = service.set_writing(session, session.get_one(Campaign, own.id), rules, utc_now())
    words = "It writes nothing now." if writes is Writes.OFF else f"{waiting} verified figures came into the outbox."
    tell({"writes": writes.value, "new": waiting}, as_json, words)


@depicts.command()
def push(
    slug: Annotated[str, CAMPAIGN],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show exactly what would be written; write nothing.")
    ] = False,
    limit: Annotated[int, typer.Option(help="Send off only so many of those that wait; 0 means all.")] = 0,
    patience: Annotated[float, typer.Option(help="End after so many seconds, whatever is left.")] = PATIENCE_S,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Write what is verified on Commons. Safe to kill and start again: nothing is lost and nothing written twice.

    Several may run at once, also on several machines; they share the campaign's pace.
    """
    with opened() as (settings, database):
        own = campaign_of(database, slug)
        if dry_run:
            with database.writing() as session:
                service.refill(session, session.get_one(Campaign, own.id), utc_now())
            _tell_plan(plan(settings, database, own, limit or None), as_json)
            return
        sent = _send_off(database, own, limit)
        run = carry_out(settings, database, own, JobKind.PUSH, as_json, another=True, patience_s=patience)
    result = {"sent_off": sent, **run.result}
    told = [f"{n} {WORDS[state]}" for state in EditState if (n := run.result.get(state.value, 0))]
    words = f"{', '.join(told) or 'Nothing was written'}; {run.result['left']} left."
    tell(result, as_json, f"{words} {run.result['stopped']}".strip())


def _send_off(database: Database, own: Campaign, limit: int) -> int:
    """Send off what waits; return how many. What was sent off before and is not done is pushed on in any case."""
    with database.writing() as session:
        campaign = session.get_one(Campaign, own.id)
        service.require_writing(campaign)
        service.refill(session, campaign, utc_now())
        unsent = service.unsent_ids(session, campaign)
        chosen = unsent[:limit] if limit else unsent
        try:
            service.send_off(session, campaign, None, utc_now(), edit_ids=chosen)
        except NotReadyError:
            if not service.status(session, campaign).under_way:
                raise
            return 0
    return len(chosen)


def _tell_plan(planned: list[Planned], as_json: bool) -> None:
    rows = [one.as_json() for one in planned]
    lines = [line for one in planned for line in one.as_lines()]
    would = sum(one.would_write for one in planned)
    lines.append(f"{would} of {len(planned)} would be written. Nothing was.")
    tell({"would_write": would, "edits": rows}, as_json, "\n".join(lines))


@depicts.command()
def undo(
    slug: Annotated[str, CAMPAIGN],
    edit: Annotated[list[int] | None, typer.Option(help="An edit's number; may be given several times.")] = None,
    batch: Annotated[int | None, typer.Option(help="A batch's number: all that it wrote.")] = None,
    patience: Annotated[float, typer.Option(help="End after so many seconds, whatever is left.")] = PATIENCE_S,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Take statements of ours back, one by one or a whole batch. What others changed since is left alone."""
    if not edit and batch is None:
        raise BadInputError("Say what to undo: --edit NUMBER or --batch NUMBER; `icones depicts status` lists them.")
    with opened() as (settings, database):
        own = campaign_of(database, slug)
        with database.writing() as session:
            campaign = session.get_one(Campaign, own.id)
            made = service.undo(session, campaign, None, utc_now(), edit_ids=edit or None, batch_id=batch)
        run = carry_out(settings, database, own, JobKind.PUSH, as_json, another=True, patience_s=patience)
    tell({"batch": made.id, **run.result}, as_json, f"{run.result['done']} taken back; {run.result['left']} left.")


@depicts.command()
def status(
    slug: Annotated[str, CAMPAIGN],
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Say where a campaign's edits stand, and why those that are not done are not."""
    with opened() as (_, database), database.reading() as session:
        own = campaign_of(database, slug)
        stands = service.status(session, own)
        batches = service.batches(session, own)
    tell(_as_json(stands, batches), as_json, "\n".join(_lines(stands, batches)))


def _as_json(stands: service.Status, batches: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "writes": stands.writes.value,
        "paused": stands.paused_why,
        "adds": {state.value: stands.counts.get(state, 0) for state in EditState},
        "removals": {state.value: stands.removals.get(state, 0) for state in EditState},
        "unsent": stands.unsent,
        "under_way": stands.under_way,
        "reasons": [{"state": state.value, "reason": why, "n": n} for state, why, n in stands.reasons],
        "batches": batches,
    }


def _lines(stands: service.Status, batches: list[dict[str, Any]]) -> list[str]:
    lines = [f"Writes: {stands.writes.value}"]
    if stands.paused_why:
        lines.append(f"PAUSED: {stands.paused_why}")
    lines += [f"{n:7} {WORDS[state]}" for state in EditState if (n := stands.counts.get(state, 0))]
    lines += [f"{n:7} removals {WORDS[state]}" for state in EditState if (n := stands.removals.get(state, 0))]
    if stands.unsent:
        lines.append(f"{stands.unsent:7} of the waiting ones were not sent off: icones depicts push")
    if stands.reasons:
        lines.append("Why:")
        lines += [f"{n:7} {WORDS[state]}: {why}" for state, why, n in stands.reasons]
    lines += [f"Batch {one['id']}: {one['done']} of {one['edits']} done ({one['mark']})" for one in batches]
    return lines
