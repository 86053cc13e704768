"""What the API takes and gives about edits on Commons; see ``shapes``."""

from datetime import datetime

from pydantic import BaseModel, Field

from icones.models import EditAction, EditState, Writes
from icones.web.api.shapes import AT, example, example_of


class EditOut(BaseModel):
    """One edit on Commons: what shall be, or was, said of a figure."""

    model_config = example(
        id=41,
        figure_id=12,
        mid="M1234",
        title="Robin (Erithacus rubecula), RP-T-2.jpg",
        action="add",
        qid="Q25334",
        statement_id="M1234$2C1B7A0E-5D0B-4A44-9E6B-1F0C6D1A8B11",
        state="done",
        reason="",
        blocked_by=None,
        account="IconesBot",
        batch="0f3a9c1d22e4",
        revision=987654321,
        diff_url="https://commons.wikimedia.org/wiki/File:Robin.jpg?diff=987654321",
        created_at=AT,
        wrote_at=AT,
        ended_at=AT,
        undone_at=None,
        gone_at=None,
        reverted_at=None,
    )
    id: int
    figure_id: int
    mid: str | None
    title: str
    action: EditAction
    qid: str
    statement_id: str = Field(description="The statement's GUID, known before it is written.")
    state: EditState
    reason: str = Field(description="Why it stands where it stands, in English.")
    blocked_by: str | None = Field(description="The narrower or broader taxon that stands there.")
    account: str = Field(description="The account that wrote it; empty before.")
    batch: str | None = Field(description="The mark in the summaries of its batch; null for what was not sent off.")
    revision: int | None
    diff_url: str | None
    created_at: datetime
    wrote_at: datetime | None
    ended_at: datetime | None
    undone_at: datetime | None = Field(description="When we took it back.")
    gone_at: datetime | None = Field(description="When we saw that somebody had removed or changed it.")
    reverted_at: datetime | None = Field(description="When we saw that somebody had reverted it.")


class EditsOut(BaseModel):
    """One page of edits, newest first; ask again with ``cursor=next`` until ``next`` is null."""

    model_config = example(edits=[example_of(EditOut)], next=41)
    edits: list[EditOut]
    next: int | None


class SendIn(BaseModel):
    """Which of the waiting edits to send off."""

    model_config = example(edit_ids=[41, 42])
    edit_ids: list[int] | None = Field(default=None, max_length=10_000, description="Null for all that wait.")


class UndoIn(BaseModel):
    """Which statements of ours to take back: some, or all of a batch."""

    model_config = example(batch="0f3a9c1d22e4", edit_ids=None)
    batch: str | None = Field(default=None, description="A batch's mark.")
    edit_ids: list[int] | None = Field(default=None, max_length=10_000)


class SentOut(BaseModel):
    """What was sent off together; the worker writes it at the campaign's pace."""

    model_config = example(batch="0f3a9c1d22e4", edits=2)
    batch: str
    edits: int


class WritingIn(BaseModel):
    """Whether, under whose name and how a campaign writes to Commons."""

    model_config = example(writes="bot", edits_per_minute=5.0, revert_limit=0.05, change_tags="")
    writes: Writes = Field(description="`off`, `people` (each in their own name) or `bot`.")
    edits_per_minute: float = Field(default=5.0, description="Of the bot account; Commons asks for 4 to 6.")
    revert_limit: float = Field(default=0.05, description="Writing pauses above this share of reverted edits.")
    change_tags: str = Field(default="", description="Tags that exist on the wiki, separated by `|`.")


class WritingOut(WritingIn):
    """Whether and how a campaign writes, and whether it pauses."""

    model_config = example(writes="bot", edits_per_minute=5.0, revert_limit=0.05, change_tags="", paused="")
    paused: str = Field(description="Why writing pauses; empty if it does not.")
