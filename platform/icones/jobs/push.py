"""The push job: what was sent off is written on Commons, one careful edit after the other.

Each edit: take it (a transaction), read the file, decide, say in the outbox what will be said (a transaction), write
once, note how it ended (a transaction). Several pushes may run at once, in several processes; each may be killed at
any moment. See docs/decisions on the outbox.
"""

import logging
import os
import socket
import time
import uuid
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import queries as edits
from icones.depicts import sending, service
from icones.depicts.decide import Decision, Step
from icones.depicts.sending import Account, Ended, Taken
from icones.errors import IconesError, NotAllowedError
from icones.jobs.judging import Surroundings
from icones.jobs.pens import Pens, stopped
from icones.jobs.plan import plan
from icones.jobs.runner import Progress
from icones.jobs.wiki import wiki_config
from icones.models import Campaign, EditAction, EditState, JobRun
from wiki_sync import (
    Changes,
    DepictsClaim,
    LiveFile,
    Outcome,
    OutcomeKind,
    SignedOutError,
    TransientError,
    WikiError,
    Writer,
)

log = logging.getLogger(__name__)

SLICE_S = 120.0
"""A run from the queue ends after this long; the clock asks for the next one. Other campaigns get their turn."""
MOST_REREADS = 3
HOUR_S = 3600.0


def push(settings: Settings, database: Database, campaign: Campaign, run: JobRun, progress: Progress) -> dict[str, Any]:
    """Write what was sent off in this campaign, until nothing is left that can be written now.

    With the parameter ``dry_run`` nothing is written: the result is what would be, of that which waits.
    """
    if run.parameters.get("dry_run"):
        progress.step("Reading the files as they are now")
        return {"planned": [one.as_json() for one in plan(settings, database, campaign)]}
    with database.reading() as session:
        own = session.get_one(Campaign, campaign.id)
        if edits.soonest(session, own.id or 0, only_removals=True) is None:
            service.require_writing(own)
        under_way = service.status(session, campaign).under_way
    progress.step("Writing depicts statements", 0, under_way)
    patience = float(run.parameters.get("patience_s", SLICE_S))
    pusher = Pusher(settings, database, campaign, progress, utc_now() + timedelta(seconds=patience))
    with pusher.pens:
        why = pusher.work(under_way)
    if why:
        progress.note(why)
    with database.reading() as session:
        left = service.status(session, session.get_one(Campaign, campaign.id)).under_way
    return {
        **{state.value: pusher.tally[state] for state in EditState if state not in (EditState.SENDING,)},
        "left": left,
        "stopped": why,
    }


class Pusher:
    """One run's work. ``tally`` counts attempts by the state they ended in."""

    def __init__(
        self, settings: Settings, database: Database, campaign: Campaign, progress: Progress, until: datetime
    ) -> None:
        self._settings = settings
        self._database = database
        self._campaign = campaign
        self._progress = progress
        self._until = until
        self._config = wiki_config(settings)
        self._sender = f"{socket.gethostname()[:16]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._not_now: set[Account] = set()
        self._only_removals = False
        self._changes = Changes(self._config)
        self._around = Surroundings(settings, database, self._config)
        self.pens = Pens(settings, database, self._config)
        self.tally: Counter[EditState] = Counter()

    def work(self, under_way: int) -> str:
        """Send edit after edit; return why it ended early, "" if all that can be sent now was sent."""
        ended = 0
        while utc_now() < self._until:
            why = self._must_stop()
            if why:
                return why
            with self._database.writing() as session:
                own = session.get_one(Campaign, self._campaign.id)
                taken = sending.take_next(
                    session,
                    self._settings,
                    own,
                    self._sender,
                    utc_now(),
                    self._not_now,
                    only_removals=self._only_removals,
                )
            if taken is None:
                return ""
            if isinstance(taken, datetime):
                if taken > self._until:
                    return ""
                self._rest(taken, ended, under_way)
                continue
            state = self._send(taken)
            if state is not None:
                self.tally[state] += 1
                ended += state is not EditState.WAITING
            self._progress.at(min(ended, under_way), under_way)
        return ""

    def _must_stop(self) -> str:
        why = stopped(self._settings, self._database, self._changes, utc_now())
        if why:
            return why
        with self._database.reading() as session:
            why = service.why_only_removals(session.get_one(Campaign, self._campaign.id))
            may_remove = bool(why) and edits.soonest(session, self._campaign.id or 0, only_removals=True) is not None
        self._only_removals = may_remove
        return "" if may_remove else why

    def _rest(self, until: datetime, done: int, total: int) -> None:
        """Wait, in small steps so that a cancelled run ends soon."""
        pause = (until - utc_now()).total_seconds()
        # At least a little: what is due may be held up by another sender at work on the same file.
        time.sleep(min(max(pause, 0.1), 1.0))
        self._progress.at(min(done, total), total)

    def _send(self, taken: Taken) -> EditState | None:
        ended = self._attempt(taken)
        if ended is None:
            return None
        if ended.state is EditState.DONE:
            self.pens.worked(taken.account)
        with self._database.writing() as session:
            state = sending.note(session, self._settings, taken, self._sender, ended, utc_now())
        if state in (EditState.CONFLICT, EditState.REFUSED, EditState.GIVEN_UP):
            self._progress.note(f"M{taken.page_id} {taken.qid}: {ended.reason}")
        return state

    def _attempt(self, taken: Taken) -> Ended | None:
        """Carry one edit as far as it goes; None when another sender has it now."""
        try:
            writer = self.pens.writer(taken.account)
            return self._carry(taken, writer)
        except NotAllowedError as error:
            self._not_now.add(taken.account)
            return Ended(EditState.WAITING, error.message, retry_after=HOUR_S, is_free=True)
        except SignedOutError as error:
            return self._signed_out(taken, str(error))
        except TransientError as error:
            return Ended(EditState.WAITING, str(error), retry_after=error.retry_after, is_free=not _is_ours(error))
        except WikiError as error:
            return Ended(EditState.WAITING, str(error))
        except IconesError:
            # The set-up is wrong (no bot account): the edit goes back as it was, and the run says so.
            self._hand_back(taken)
            raise

    def _hand_back(self, taken: Taken) -> None:
        ended = Ended(EditState.WAITING, is_free=True)
        with self._database.writing() as session:
            sending.note(session, self._settings, taken, self._sender, ended, utc_now())

    def _signed_out(self, taken: Taken, why: str) -> Ended:
        """The wiki does not know us any more: once more with a fresh sign-in, then not again in this run."""
        if not self.pens.refresh(taken.account):
            self._not_now.add(taken.account)
            return Ended(EditState.WAITING, f"The account must sign in again. {why}".strip(), retry_after=HOUR_S)
        return Ended(EditState.WAITING, f"The account must sign in again. {why}".strip())

    def _carry(self, taken: Taken, writer: Writer) -> Ended | None:
        tags = taken.tags
        for _ in range(MOST_REREADS + 1):
            live = writer.live([taken.page_id])[taken.page_id]
            decision, claim = self._around.decide(taken, live, writer.account)
            if decision.step is Step.END:
                return self._ended(taken, decision, live, writer)
            lost = self._lost(taken, writer)
            if lost is not None:
                return Ended(EditState.DONE, revision=lost, account=writer.account, was_removed=True)
            if taken.why_not:
                return Ended(EditState.GIVEN_UP, taken.why_not)
            with self._database.writing() as session:
                if not sending.renew(session, self._settings, taken, self._sender, claim, live.revision, utc_now()):
                    return None
            outcome = self._write(taken, claim, live, writer, tags)
            if outcome.kind is OutcomeKind.REFUSED and outcome.code == "badtags" and tags:
                self._progress.note(f"The wiki does not know our change tags ({'|'.join(tags)}): {outcome.info}")
                tags = ()
            elif outcome.kind not in (OutcomeKind.REREAD, OutcomeKind.DUPLICATE, OutcomeKind.NOCHANGE):
                return self._judged(taken, outcome, writer)
        return Ended(EditState.WAITING, "Others edited the file at the same moments.")

    def _lost(self, taken: Taken, writer: Writer) -> int | None:
        """Return the revision of an earlier try that was carried out and then removed by somebody.

        Without this look a statement that somebody took away in the meantime would be written once more, as the wiki
        brings a removed statement back to life under its old GUID.
        """
        if taken.action is not EditAction.ADD or taken.base_revision is None:
            return None
        return writer.revision_of(taken.page_id, taken.base_revision, [taken.qid, taken.mark])

    def _write(
        self, taken: Taken, claim: DepictsClaim | None, live: LiveFile, writer: Writer, tags: tuple[str, ...]
    ) -> Outcome:
        as_bot = taken.account.person_id is None
        if claim is not None:
            return writer.add(claim, taken.summary, tags=tags, as_bot=as_bot, wait=False)
        return writer.remove(taken.guid, live.revision or 0, taken.summary, tags=tags, as_bot=as_bot, wait=False)

    def _ended(self, taken: Taken, decision: Decision, live: LiveFile, writer: Writer) -> Ended:
        is_removed = taken.action is EditAction.REMOVE and decision.state is EditState.ALREADY_THERE and live.exists
        if decision.state is not EditState.DONE and not is_removed:
            return Ended(decision.state, decision.reason, decision.blocked_by)
        # Our statement stands there (or is gone): an earlier try was applied and its answer was lost.
        after = taken.base_revision
        revision = writer.revision_of(taken.page_id, after, [taken.qid, taken.mark]) if after else None
        if is_removed and revision is None:
            return Ended(EditState.ALREADY_THERE, decision.reason, was_removed=True)
        return Ended(EditState.DONE, revision=revision, account=writer.account)

    def _judged(self, taken: Taken, outcome: Outcome, writer: Writer) -> Ended:
        """Return what an outcome means for the edit."""
        why = outcome.info or outcome.code
        answer, wait = outcome.body, outcome.retry_after
        if outcome.kind is OutcomeKind.WRITTEN:
            return Ended(EditState.DONE, revision=outcome.revision, account=writer.account, answer=answer)
        if outcome.kind is OutcomeKind.LATER:
            pause = wait or self._settings.wiki_retry_wait_s * 5
            reason = f"The wiki asked us to come back later ({outcome.code})."
            return Ended(EditState.WAITING, reason, answer=answer, retry_after=pause, is_free=True, rests_account=True)
        if outcome.kind is OutcomeKind.UNKNOWN:
            reason = "No readable answer came; the next try reads first whether the edit was made."
            return Ended(EditState.WAITING, reason, answer=answer, retry_after=wait)
        if outcome.kind is OutcomeKind.SIGNED_OUT:
            return self._signed_out(taken, why)
        if outcome.kind is OutcomeKind.ACCOUNT_BLOCKED:
            return self._blocked(taken, writer.account, why, answer)
        if outcome.kind is OutcomeKind.GONE:
            return Ended(EditState.REFUSED, "The file is no longer on the wiki.", answer=answer)
        if outcome.kind is OutcomeKind.WARNED:
            names = ", ".join(outcome.names)
            return Ended(EditState.REFUSED, f"An edit filter asks a person to think twice ({names}).", answer=answer)
        if not outcome.code:
            # It was never sent: what comes before it (the edit token) could not be read.
            return Ended(EditState.WAITING, why, answer=answer, retry_after=wait)
        if outcome.code.startswith("http-"):
            # A gateway before the wiki refuses us, and would refuse every other edit too.
            pause = wait or self._settings.wiki_retry_wait_s * 60
            reason = f"The wiki's gateway turned us away ({outcome.code})."
            return Ended(EditState.WAITING, reason, answer=answer, retry_after=pause, rests_account=True)
        names = f" ({', '.join(outcome.names)})" if outcome.names else ""
        return Ended(EditState.REFUSED, f"The wiki refused it: {why}{names}", answer=answer)

    def _blocked(self, taken: Taken, account: str, why: str, answer: str) -> Ended:
        self._not_now.add(taken.account)
        reason = f"The account {account} is blocked on the wiki: {why}"
        if taken.account.person_id is None:
            with self._database.writing() as session:
                service.pause(session, session.get_one(Campaign, self._campaign.id), reason, utc_now())
        return Ended(EditState.WAITING, reason, answer=answer, retry_after=HOUR_S, is_free=True)


def _is_ours(error: TransientError) -> bool:
    """Say whether a try counts: the wiki's own wish to be left alone for a while does not."""
    return error.retry_after is None
