"""The accounts a push writes with, and the stop page that halts them all."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.depicts import queries, wording
from icones.depicts.sending import Account
from icones.errors import NotReadyError
from icones.models import WikiNotice
from icones.people import grants
from wiki_sync import BotWire, Changes, PersonWire, WikiConfig, WikiError, Writer

log = logging.getLogger(__name__)

STOP_PAGE = "stop_page"
LOOK_EVERY = timedelta(seconds=30)
"""A word on the stop page halts writing within a minute: a look every half minute, and one edit under way."""
DEEPEST = 60
"""Steps up a lineage before we believe that the items go in circles."""


class Pens:
    """The writers of one run, one an account: opened at first use, closed at the end (a context manager)."""

    def __init__(self, settings: Settings, database: Database, config: WikiConfig) -> None:
        self._settings = settings
        self._database = database
        # What fails is tried again from the outbox, never in here: an attempt must not outlive its lease.
        self._config = replace(config, max_retries=0)
        self._open: dict[Account, tuple[Writer, BotWire | PersonWire]] = {}
        self._tokens: dict[Account, str] = {}
        self._refused: dict[Account, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for account in list(self._open):
            self._put_down(account)

    def writer(self, account: Account) -> Writer:
        """Return the account's writer. Raises NotReadyError without a bot account, NotAllowedError without leave."""
        if account.person_id is not None:
            self._renew_token(account, account.person_id)
        if account not in self._open:
            wire = self._wire(account)
            self._open[account] = (Writer(self._config, wire), wire)
        return self._open[account][0]

    def _renew_token(self, account: Account, person_id: int) -> None:
        """See before each edit whether the person's leave still holds, and whether their token was renewed."""
        refused = self._refused.get(account, "")
        token = grants.access_token(self._settings, self._database, person_id, utc_now, refused=refused)
        if token != self._tokens.get(account):
            self._put_down(account)
            self._tokens[account] = token

    def _wire(self, account: Account) -> BotWire | PersonWire:
        if account.person_id is not None:
            return PersonWire(self._config, self._tokens[account])
        password = self._settings.bot_password.get_secret_value()
        if not self._settings.bot_user or not password:
            raise NotReadyError("There is no bot account to write with. Set ICONES_BOT_USER and ICONES_BOT_PASSWORD.")
        return BotWire(self._config, self._settings.bot_user, password)

    def refresh(self, account: Account) -> bool:
        """Let the next use sign in anew, as the wiki forgot us; False if that was tried and did not help."""
        self._put_down(account)
        if account in self._refused:
            return False
        self._refused[account] = self._tokens.get(account, "")
        return True

    def worked(self, account: Account) -> None:
        """Note that the wiki took an edit of this account: signing in anew is worth a try again, should it be lost."""
        self._refused.pop(account, None)

    def _put_down(self, account: Account) -> None:
        found = self._open.pop(account, None)
        if found is not None:
            found[1].close()


def stopped(settings: Settings, database: Database, changes: Changes, now: datetime) -> str:
    """Return why nothing may be written now, as the stop page on the wiki says, else "".

    The page is read at most every ``LOOK_EVERY``, for all workers together. A page that cannot be read stops, too.
    """
    if not settings.stop_page:
        return ""
    with database.reading() as session:
        known = queries.notice(session, STOP_PAGE)
    if known is None or known.checked_at < now - LOOK_EVERY:
        known = _look(settings, changes, now)
        with database.writing() as session:
            queries.keep_notice(session, known)
    if known.problem:
        return f"The stop page {settings.stop_page} could not be read: {known.problem}"
    return f"The wiki's page {settings.stop_page} says: {known.text}" if known.text else ""


def _look(settings: Settings, changes: Changes, now: datetime) -> WikiNotice:
    try:
        text, problem = wording.stop_words(changes.page_text(settings.stop_page)), ""
    except WikiError as error:
        text, problem = "", str(error)[:500]
    return WikiNotice(key=STOP_PAGE, text=text, problem=problem, checked_at=now)
