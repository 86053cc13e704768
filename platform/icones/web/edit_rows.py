"""Edits on Commons as pages show them: what happened in plain words, why, and the way to the revision on the wiki."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from sqlmodel import Session

from icones.config import Settings
from icones.depicts import queries, service
from icones.depicts.queries import Fates
from icones.models import Campaign, DepictsEdit, EditAction, EditBatch, EditState, Illustration
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web.render import translations, web_link

PER_PAGE = 30
WRITTEN, GONE, ALL = "written", "gone", "all"
VIEWS: Mapping[str, tuple[EditState, ...]] = {
    WRITTEN: (EditState.DONE,),
    GONE: (EditState.DONE,),
    "waiting": (EditState.WAITING, EditState.SENDING),
    "already_there": (EditState.ALREADY_THERE,),
    "blocked": (EditState.BLOCKED,),
    "conflict": (EditState.CONFLICT,),
    "refused": (EditState.REFUSED,),
    "given_up": (EditState.GIVEN_UP,),
    ALL: tuple(EditState),
}
"""What lists can be narrowed to; in ``gone`` are statements of ours that others removed or changed."""


@dataclass(frozen=True)
class EditRow:
    """One edit as pages show it."""

    id: int
    figure_id: int
    illustration_id: int
    campaign: str
    slug: str
    picture: str
    """Empty where there is none."""
    title: str
    page_url: str
    """Of the file on the wiki; empty where the wiki did not tell."""
    qid: str
    taxon: TaxonView | None
    is_removal: bool
    what: str
    """What happened, as a code for macros/edits.html."""
    reason: str
    """In the reader's language."""
    blocked_by: str
    blocked_taxon: TaxonView | None
    at: datetime
    account: str
    account_url: str
    revision: int | None
    diff_url: str
    since_url: str
    """All that changed on the file since our revision; empty without one."""
    mark: str
    """The batch's; empty for what nobody has sent off."""
    may_undo: bool
    may_insist: bool
    is_beside: bool
    """A broader taxon stands there, beside which a curator may want it said."""


@dataclass(frozen=True)
class Asked:
    """Which part of a list somebody asks for."""

    view: str = WRITTEN
    mark: str = ""
    before: int | None = None
    """The id where the page before ended."""


@dataclass(frozen=True)
class Listing:
    """One page of edits, newest first, with how many there are of each kind."""

    rows: tuple[EditRow, ...]
    asked: Asked
    views: tuple[tuple[str, int], ...]
    fates: Fates
    next: int | None
    address: Callable[..., str]
    """The address of this list for a view (``view``), a batch (``mark``) and a page (``before``)."""

    def batch_address(self, mark: str) -> str:
        """Return the address of all edits of a batch."""
        return self.address(view=ALL, mark=mark)


def listing(
    session: Session,
    settings: Settings,
    campaigns: Sequence[Campaign],
    asked: Asked,
    language: str,
    address: Callable[..., str],
) -> Listing:
    """Return one page of the edits of these campaigns, in a constant number of queries."""
    keys = [one.id or 0 for one in campaigns]
    batch = queries.batch_of_mark(session, asked.mark) if asked.mark else None
    batch_id = (batch.id if batch else 0) if asked.mark else None
    found = queries.page_of_edits(
        session, keys, VIEWS[asked.view], asked.before, PER_PAGE + 1, batch_id, only_gone=asked.view == GONE
    )
    page = found[:PER_PAGE]
    fates = queries.fates(session, keys, batch_id)
    return Listing(
        rows=rows_of(session, settings, [(edit, file, campaign) for edit, file, campaign, _ in page], language),
        asked=asked,
        views=_views(queries.counts_in(session, keys, batch_id), fates, asked.view),
        fates=fates,
        next=page[-1][0].id if len(found) > PER_PAGE else None,
        address=address,
    )


def _views(
    counts: Mapping[tuple[EditAction, EditState], int], fates: Fates, chosen: str
) -> tuple[tuple[str, int], ...]:
    """Return the views that hold something, or are chosen, with how much."""
    numbers = {
        view: fates.gone if view == GONE else sum(n for (_, state), n in counts.items() if state in states)
        for view, states in VIEWS.items()
    }
    return tuple((view, n) for view, n in numbers.items() if n or view in (chosen, WRITTEN, ALL))


def rows_of(
    session: Session,
    settings: Settings,
    found: Sequence[tuple[DepictsEdit, Illustration, Campaign]],
    language: str,
) -> tuple[EditRow, ...]:
    """Return edits as pages show them, in the given order and in a constant number of queries."""
    edits = [edit for edit, _, _ in found]
    qids = {one.qid for one in edits} | {one.blocked_by for one in edits if one.blocked_by}
    names = taxa.views(session, qids, language)
    known = queries.batches_by_id(session, {one.batch_id for one in edits if one.batch_id})
    beside = queries.of_figures(session, {one.figure_id for one in edits})
    leaving = {one.undoes_id for rows in beside.values() for one in rows if one.undoes_id and one.state in queries.OPEN}
    return tuple(
        _row(settings, edit, file, campaign, names, known, language, is_leaving=edit.id in leaving)
        for edit, file, campaign in found
    )


def of_file(
    session: Session, settings: Settings, campaign: Campaign, file: Illustration, language: str
) -> dict[int, tuple[EditRow, ...]]:
    """Return what we say of a file's figures, by figure: the latest word, before it older ones that still stand."""
    adds = [one for one in queries.of_illustration(session, file.id or 0) if one.action is EditAction.ADD]
    latest = {one.figure_id: one.id for one in adds}
    shown = [one for one in adds if what_of(one) == "done" or one.id == latest[one.figure_id]]
    found: dict[int, tuple[EditRow, ...]] = {}
    for row in rows_of(session, settings, [(one, file, campaign) for one in shown], language):
        found[row.figure_id] = (*found.get(row.figure_id, ()), row)
    return found


def _row(
    settings: Settings,
    edit: DepictsEdit,
    file: Illustration,
    campaign: Campaign,
    names: Mapping[str, TaxonView],
    known: Mapping[int, EditBatch],
    language: str,
    *,
    is_leaving: bool,
) -> EditRow:
    what = "leaving" if is_leaving and what_of(edit) == "done" else what_of(edit)
    taxon, batch = names.get(edit.qid), known.get(edit.batch_id or 0)
    return EditRow(
        id=edit.id or 0,
        figure_id=edit.figure_id,
        illustration_id=file.id or 0,
        campaign=campaign.title,
        slug=campaign.slug,
        picture=f"/c/{campaign.slug}/i/{file.id}/image?side=160" if file.image_sha1 else "",
        title=file.title,
        page_url=web_link(file.page_url),
        qid=edit.qid,
        taxon=taxon,
        is_removal=edit.action is EditAction.REMOVE,
        what=what,
        reason=reason_words(edit.reason, language),
        blocked_by=edit.blocked_by or "",
        blocked_taxon=names.get(edit.blocked_by or ""),
        at=edit.wrote_at or edit.ended_at or edit.created_at,
        account=edit.account,
        account_url=wiki_page(settings, f"User:{edit.account}") if edit.account else "",
        revision=edit.revision,
        diff_url=diff_url(settings, file, edit.revision),
        since_url=since_url(settings, file, edit.revision),
        mark=batch.mark if batch else "",
        may_undo=what == "done",
        may_insist=edit.action is EditAction.ADD and service.may_insist(edit.state, edit.reason),
        is_beside=bool(taxon and edit.blocked_by in taxon.lineage),
    )


def what_of(edit: DepictsEdit) -> str:
    """Return what happened with an edit, as the code that macros/edits.html puts in words."""
    if edit.state is EditState.WAITING:
        return "queued" if edit.batch_id else "waiting"
    if edit.state is not EditState.DONE:
        return edit.state.value
    if edit.action is EditAction.REMOVE:
        return "taken_back"
    if edit.undone_at is not None:
        return "undone"
    if edit.gone_at is not None:
        return "reverted" if edit.reverted_at is not None else "gone"
    return "done"


def wiki_page(settings: Settings, title: str) -> str:
    """Return the address of a page on the wiki whose API we ask."""
    return f"{settings.commons_api_url.removesuffix('/w/api.php')}/wiki/{quote(title.replace(' ', '_'), safe=':/')}"


def diff_url(settings: Settings, file: Illustration, revision: int | None) -> str:
    """Return where the wiki shows what a revision of a file changed; empty without a revision."""
    return f"{_article(settings, file)}?diff={revision}" if revision else ""


def since_url(settings: Settings, file: Illustration, revision: int | None) -> str:
    """Return where the wiki shows all that changed on a file since a revision; empty without one."""
    return f"{_article(settings, file)}?diff=cur&oldid={revision}" if revision else ""


def _article(settings: Settings, file: Illustration) -> str:
    """Return the address of a file's page: as the wiki told it, else of its entry point (a diff needs no title)."""
    return web_link(file.page_url) or f"{settings.commons_api_url.removesuffix('api.php')}index.php"


def N_(text: str) -> str:  # noqa: N802 (the name that extraction of texts knows)
    """Mark a text for translation later."""
    return text


SENTENCES = (
    N_("The determination changed before this was written."),
    N_("It is wanted again."),
    N_("The batch was taken back before this was written."),
    N_("The person who confirmed it has not agreed that it is written in their name."),
    N_("The file is no longer on the wiki."),
    N_("The page only points to another file now."),
    N_("The file says it already, in a statement that is not this edit's."),
    N_("Somebody marked this very statement as wrong (deprecated)."),
    N_("Somebody stated that the file depicts nothing."),
    N_("Somebody took this statement away before; a person must decide."),
    N_("The page asks tools like this one to leave it alone."),
    N_("Nothing to take back: the file is no longer on the wiki."),
    N_("Nothing to take back: the statement is gone."),
    N_("Somebody has changed or added to the statement since; it is left as it is."),
    N_("Somebody marked our statement as wrong (deprecated)."),
    N_("A narrower taxon is stated already, which says more."),
    N_("A broader taxon is stated already; a curator decides whether this is said beside it."),
    N_("Somebody removed this statement on the wiki."),
    N_("Somebody marked as wrong this statement on the wiki."),
    N_("Somebody changed this statement on the wiki."),
    N_("Somebody removed this statement on the wiki right after it was written."),
    N_("Somebody reverted our edit on the wiki."),
    N_("Others edited the file at the same moments."),
    N_("No readable answer came; the next try reads first whether the edit was made."),
)
"""The reasons that edits carry: kept in English, read in the reader's language."""
PATTERNS = (
    (
        re.compile(r"Somebody changed our statement to (?P<what>\S+)\."),
        N_("Somebody changed our statement to %(what)s."),
    ),
    (
        re.compile(r"The item of the work itself \((?P<qid>Q\d+)\) says it\."),
        N_("The item of the work itself (%(qid)s) says it."),
    ),
    (
        re.compile(r"Given up after (?P<n>\d+) tries\. The last one: (?P<why>.*)"),
        N_("Given up after %(n)s tries. The last one: %(why)s"),
    ),
    (
        re.compile(r"The wiki asked us to come back later \((?P<code>[^)]*)\)\."),
        N_("The wiki asked us to come back later (%(code)s)."),
    ),
    (
        re.compile(r"An edit filter asks a person to think twice \((?P<names>.*)\)\."),
        N_("An edit filter asks a person to think twice (%(names)s)."),
    ),
    (re.compile(r"The wiki refused it: (?P<why>.*)", re.DOTALL), N_("The wiki refused it: %(why)s")),
    (
        re.compile(r"The account (?P<name>.*) is blocked on the wiki: (?P<why>.*)", re.DOTALL),
        N_("The account %(name)s is blocked on the wiki: %(why)s"),
    ),
    (
        re.compile(r"The account must sign in again\.(?P<why>.*)", re.DOTALL),
        N_("The account must sign in again.%(why)s"),
    ),
)
"""The same with something filled in."""


def reason_words(reason: str, language: str) -> str:
    """Return why an edit stands where it stands, in the reader's language; an unknown sentence as it is."""
    if not reason:
        return ""
    _ = translations(language).ugettext
    for pattern, text in PATTERNS:
        if found := pattern.fullmatch(reason):
            told = found.groupdict()
            return _(text) % {name: reason_words(value, language) for name, value in told.items()}
    return _(reason)
