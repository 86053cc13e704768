"""The outbox: what shall be, is or was said on Commons (P180) for a figure, and who holds the pen."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel, UniqueConstraint

from icones.models.columns import choice, document, moment, reference

_WISH = "action = 'add' AND undone_at IS NULL AND gone_at IS NULL"


class EditAction(StrEnum):
    """What an edit does to the file's structured data."""

    ADD = "add"
    REMOVE = "remove"


class EditState(StrEnum):
    """How far a depicts edit has come. All but the first two are ends; each end has its reason in words."""

    WAITING = "waiting"
    SENDING = "sending"
    DONE = "done"
    ALREADY_THERE = "already_there"
    """The wiki says it without us: somebody else's statement (or, for a removal, nothing left to remove)."""
    BLOCKED = "blocked"
    """A narrower or broader taxon stands there already; see ``blocked_by``."""
    CONFLICT = "conflict"
    """Somebody changed or removed what this is about: a person must look."""
    REFUSED = "refused"
    """The wiki, its edit filters or its pages say no."""
    GIVEN_UP = "given_up"
    """Not written: the determination changed first, or too many tries failed."""


class Pen(StrEnum):
    """Under whose name edits are written."""

    PEOPLE = "people"
    """Each in the name of the person who confirmed it, if they said yes to that."""
    BOT = "bot"


class EditBatch(SQLModel, table=True):
    """Edits that a person sent off together, after seeing exactly what would be written."""

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = reference("campaign.id")
    asked_by: int | None = reference("person.id", default=None, nullable=True)
    pen: Pen = choice(Pen)
    is_undo: bool = False
    mark: str = Field(unique=True, max_length=12)
    """Twelve hex digits, in every summary: by it EditGroups and people find the whole batch."""
    created_at: datetime = moment()


class DepictsEdit(SQLModel, table=True):
    """One depicts edit with the statement's own GUID, made before the first try. Never deleted."""

    __table_args__ = (
        UniqueConstraint("guid", "action"),
        sa.Index("ix_depictsedit_to_send", "state", "next_try_at"),
        # One standing wish a figure and taxon; after an undo or a removal elsewhere a person may wish it again.
        sa.Index(
            "uq_depictsedit_wish",
            "figure_id",
            "qid",
            unique=True,
            sqlite_where=sa.text(_WISH),
            postgresql_where=sa.text(_WISH),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: int = reference("campaign.id")
    illustration_id: int = reference("illustration.id")
    figure_id: int = reference("figure.id")
    batch_id: int | None = reference("editbatch.id", default=None, nullable=True)
    """None until somebody sent it off."""
    action: EditAction = choice(EditAction, default=EditAction.ADD)
    qid: str = Field(max_length=20, index=True)
    guid: str = Field(max_length=80)
    state: EditState = choice(EditState, default=EditState.WAITING)
    reason: str = Field(default="", max_length=500)
    """Why it stands where it stands, in words."""
    blocked_by: str | None = Field(default=None, max_length=20)
    insists: bool = False
    """A person looked and wants it said although a broader taxon stands there, or somebody took it away before."""
    person_id: int | None = reference("person.id", default=None, nullable=True)
    """Who confirmed it (and in whose name it goes out, if the pen is the people's)."""
    account: str = Field(default="", max_length=255)
    """The account that wrote it, as the wiki calls it."""
    claim: dict[str, Any] = document(default_factory=dict)
    """The statement as it was sent, for comparing before a removal."""
    summary: str = Field(default="", max_length=500)
    attempts: int = 0
    next_try_at: datetime | None = moment(nullable=True)
    sender: str = Field(default="", max_length=40)
    """The process that holds it while ``sending``."""
    lease_until: datetime | None = moment(nullable=True)
    """Until when the sender has it; a killed sender's edit is taken up after that."""
    last_answer: str = Field(default="", sa_type=sa.Text)
    base_revision: int | None = None
    """The file's revision right before the last write; a write whose answer was lost is after it."""
    revision: int | None = Field(default=None, index=True)
    """The revision it became; None too where the answer was lost and the history did not tell."""
    wrote_at: datetime | None = moment(nullable=True)
    called_back_by: int | None = reference("editbatch.id", default=None, nullable=True)
    """The undo that came while an earlier try may have been carried out: look, write nothing, remove what is there."""
    undoes_id: int | None = reference("depictsedit.id", default=None, nullable=True)
    undone_at: datetime | None = moment(nullable=True)
    gone_at: datetime | None = moment(nullable=True)
    """When we saw that somebody had removed or changed our statement."""
    reverted_at: datetime | None = moment(nullable=True)
    """When we saw the wiki's mark (``mw-reverted``) on our revision."""
    created_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)


class WikiGrant(SQLModel, table=True):
    """A person's leave to write in their name: OAuth tokens, encrypted. Gone with sign-out and revocation."""

    person_id: int = Field(primary_key=True, foreign_key="person.id")
    access_token: str = Field(sa_type=sa.Text)
    refresh_token: str = Field(default="", sa_type=sa.Text)
    expires_at: datetime = moment()
    granted_at: datetime = moment()
    refreshing_until: datetime | None = moment(nullable=True)
    """The lock: whoever refreshes holds it, as a used refresh token is dead at once."""


class WikiAccount(SQLModel, table=True):
    """What is kept of an account that writes: its pace, and why it may not write now."""

    name: str = Field(primary_key=True, max_length=255)
    """``person:7``, or ``bot``."""
    next_at: datetime | None = moment(nullable=True)
    """Not before this moment: the pace, or what the wiki asked for."""


class WikiNotice(SQLModel, table=True):
    """What the wiki last said on a page that we heed (the stop page)."""

    key: str = Field(primary_key=True, max_length=40)
    text: str = Field(default="", sa_type=sa.Text)
    problem: str = Field(default="", max_length=500)
    """Why the page could not be read; then nothing is written."""
    checked_at: datetime = moment()
