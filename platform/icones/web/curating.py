"""The curator's desk: how a campaign stands, its rules, its people, what is taken home; and new campaigns.

What a curator asks for is done in the background (jobs); these pages only show and ask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlmodel import Session

from icones.campaigns import service as campaigns
from icones.campaigns.service import Door, NewCampaign, Progress, Rules
from icones.clock import utc_now
from icones.config import Settings
from icones.depicts import service as depicts
from icones.depicts.service import Status
from icones.errors import BadInputError, ConflictError, IconesError, NotAllowedError
from icones.exports import queries as export_queries
from icones.exports import service as exports
from icones.identifications import queries as identification_queries
from icones.identifications import service as identifications
from icones.illustrations import queries as illustrations
from icones.jobs import queries as jobs
from icones.jobs import runner
from icones.jobs.queries import Quiet
from icones.jobs.taxa import ask_for_scope
from icones.learning import queries as learning
from icones.models import (
    ConsensusRule,
    Export,
    Illustration,
    IllustrationState,
    JobKind,
    Membership,
    ModelState,
    ModelVersion,
    Person,
    Queue,
    Role,
    Visibility,
)
from icones.people import queries as people_queries
from icones.people import service as people
from icones.review import queries as review
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web.jobs import SHOWN, JobView, views, worker_is_alive
from icones.web.reliability import PersonReliability, helpers
from icones.web.render import flash, render, translations
from icones.web.sources import LARGE, SourceForm, source_form
from icones.web.visitor import AppSettings, CampaignDoor, CurrentVisitor, DbSession, RowId, Visitor

router = APIRouter(include_in_schema=False)

PROBLEMS_SHOWN = 50
DETAILS_SHOWN = 100


@dataclass(frozen=True)
class FormProblem:
    """What is wrong with a form, and at which field."""

    text: str
    field: str = ""


@dataclass(frozen=True)
class DeskPage:
    """How a campaign stands."""

    template: ClassVar[str] = "pages/desk.html"
    door: Door
    progress: Progress
    waiting_for_specialists: int
    worker_alive: bool
    jobs: tuple[JobView, ...]
    quiet: Sequence[Quiet]
    """The runs of the schedule among these that changed nothing: a line a kind, not a card a run."""
    refused: Sequence[Illustration]
    n_refused: int
    model: ModelVersion | None
    accuracies: tuple[float, ...]
    """Of the measured versions that served, oldest first, up to the one that serves now."""
    n_new_labels: int
    last_export: Export | None
    edits: Status
    """Where its edits on Commons stand."""
    section: str = "campaigns"


@dataclass(frozen=True)
class RulesPage:
    """By which rules a campaign decides."""

    template: ClassVar[str] = "pages/rules.html"
    door: Door
    rules: Rules
    problems: tuple[FormProblem, ...] = ()
    scope: TaxonView | None = None
    """The root taxon, where there is one."""
    section: str = "campaigns"


@dataclass(frozen=True)
class Member:
    """A person with a role."""

    person: Person
    role: str
    expertise: tuple[TaxonView, ...]
    is_me: bool


@dataclass(frozen=True)
class PeoplePage:
    """Who is what in a campaign."""

    template: ClassVar[str] = "pages/people.html"
    door: Door
    members: tuple[Member, ...]
    problems: tuple[FormProblem, ...] = ()
    name: str = ""
    role: str = "specialist"
    helpers: tuple[PersonReliability, ...] = ()
    """How often people are right here, as far as it is known."""
    section: str = "campaigns"


@dataclass(frozen=True)
class ExportsPage:
    """What was taken home."""

    template: ClassVar[str] = "pages/exports.html"
    door: Door
    exports: tuple[Export, ...]
    names: dict[int, str]
    n_verified: int
    section: str = "campaigns"


@dataclass(frozen=True)
class NewCampaignPage:
    """The form of a new campaign."""

    template: ClassVar[str] = "pages/new_campaign.html"
    values: dict[str, str]
    problems: tuple[FormProblem, ...] = ()
    section: str = "campaigns"


@router.get("/c/{slug}/curate")
def desk(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> Any:
    """Show how a campaign stands."""
    door.require(Role.CURATOR)
    key = door.campaign.id or 0
    versions = learning.versions(session, key)
    champion = next((version for version in versions if version.state is ModelState.CHAMPION), None)
    refused, n_refused = illustrations.page(session, key, [IllustrationState.REFUSED], 0, PROBLEMS_SHOWN)
    taken = export_queries.exports(session, key)
    last = versions[0].created_at if versions else None
    runs = jobs.eventful(session, key, SHOWN)
    page = DeskPage(
        door=door,
        progress=campaigns.progress(session, door.campaign),
        waiting_for_specialists=review.n_waiting(session, key).get(Queue.SPECIALIST, 0),
        worker_alive=worker_is_alive(session, utc_now()),
        jobs=views(session, runs),
        quiet=jobs.quiet(session, key, after=(runs[-1].id or 0) if len(runs) == SHOWN else 0),
        refused=refused,
        n_refused=n_refused,
        model=champion,
        accuracies=_accuracies(versions, champion),
        n_new_labels=identification_queries.n_verified_since(session, key, last),
        last_export=taken[0] if taken else None,
        edits=depicts.status(session, door.campaign),
    )
    return render(request, page)


@router.post("/c/{slug}/curate/category")
def set_category(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    source: Annotated[str, Form()] = "",
    source_depth: Annotated[int, Form()] = 0,
) -> Any:
    """Look at another category from now on, and fetch it."""
    campaigns.set_category(session, door, source, source_depth)
    runner.ask(session, JobKind.SYNC, door.campaign, utc_now(), person=asking.signed_in())
    flash(request, "The category is changed; its illustrations are being fetched.")
    return RedirectResponse(f"/c/{door.campaign.slug}/curate", 303)


def _accuracies(versions: Sequence[ModelVersion], champion: ModelVersion | None) -> tuple[float, ...]:
    """Return how often each version that served was right, oldest first; ``versions`` come newest first."""
    last = champion.number if champion else 0
    served = [one for one in reversed(versions) if one.number <= last and one.state is not ModelState.REJECTED]
    return tuple(one.report["accuracy"] for one in served if one.report.get("n"))


@router.get("/c/{slug}/curate/rules")
def rules_page(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> Any:
    """Show the rules, and what the campaign is about."""
    door.require(Role.CURATOR)
    own = door.campaign
    rules = Rules(
        own.quorum,
        own.agreement,
        own.agreed_is_verified,
        own.retrain_after,
        own.rule,
        own.blind_votes,
        own.gold_share,
    )
    return render(request, RulesPage(door, rules, scope=scope_of(session, door, asking)))


@router.post("/c/{slug}/curate/rules")
def set_rules(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    quorum: Annotated[int, Form()],
    agreement_percent: Annotated[float, Form()],
    retrain_after: Annotated[int, Form()],
    agreed_is_verified: Annotated[bool, Form()] = False,
    rule: Annotated[ConsensusRule | None, Form()] = None,
    blind_votes: Annotated[int | None, Form()] = None,
    gold_percent: Annotated[float | None, Form()] = None,
) -> Any:
    """Set the rules and decide every figure anew by them."""
    own = door.campaign
    rules = Rules(
        quorum,
        agreement_percent / 100,
        agreed_is_verified,
        retrain_after,
        rule or own.rule,
        own.blind_votes if blind_votes is None else blind_votes,
        own.gold_share if gold_percent is None else gold_percent / 100,
    )
    try:
        changed = apply_rules(session, door, rules)
    except BadInputError as error:
        page = RulesPage(door, rules, _problems(error, asking), scope_of(session, door, asking))
        return render(request, page, error.status)
    said = translations(asking.language)
    words = said.ugettext("The rules are saved.")
    if changed:
        more = said.ungettext("%(num)s figure changed its state.", "%(num)s figures changed their state.", changed)
        words = f"{words} {more % {'num': changed}}"
    flash(request, words)
    return RedirectResponse(f"/c/{door.campaign.slug}/curate/rules", 303)


def scope_of(session: Session, door: Door, asking: Visitor) -> TaxonView | None:
    """Return the taxon within which a campaign stays, as its pages show it."""
    root = door.campaign.root_taxon_qid
    return taxa.views(session, [root], asking.language).get(root) if root else None


@router.post("/c/{slug}/curate/scope")
def set_scope(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    root: Annotated[str, Form()] = "",
    root_words: Annotated[str, Form()] = "",
) -> Any:
    """Set or lift the taxon within which the campaign stays; one we do not know yet is looked up in the background."""
    door.require(Role.CURATOR)
    present = scope_of(session, door, asking)
    wanted = root or root_words
    if not root and present is not None and root_words.strip() == present.scientific_name:
        wanted = present.qid  # the form as it was shown: the words stand for what was there
    run = ask_for_scope(session, door.campaign, wanted, utc_now(), person=asking.signed_in())
    if run is None:
        flash(request, "The campaign is open to all taxa now.")
        return RedirectResponse(f"/c/{door.campaign.slug}/curate/rules", 303)
    flash(request, "Wikidata is asked for the taxa within this scope. What comes of it stands here.")
    return RedirectResponse(f"/c/{door.campaign.slug}/curate#work", 303)


def _problems(error: IconesError, asking: Visitor) -> tuple[FormProblem, ...]:
    """Return what is wrong as a form shows it, in the person's language where the catalogue has it."""
    said = translations(asking.language).ugettext(error.message)
    return (FormProblem(said), *(FormProblem(detail) for detail in error.details[:DETAILS_SHOWN]))


def apply_rules(session: Session, door: Door, rules: Rules) -> int:
    """Set a campaign's rules and derive all its determinations anew; return how many changed."""
    campaigns.set_rules(session, door, rules)
    figures = identification_queries.figure_ids_of(session, door.campaign.id or 0)
    return identifications.recompute(session, door.campaign, figures, utc_now())


@router.get("/c/{slug}/curate/people")
def people_page(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> Any:
    """Show who is what."""
    return _people(request, session, door, asking)


def _people(
    request: Request,
    session: Session,
    door: Door,
    asking: Visitor,
    problem: IconesError | None = None,
    name: str = "",
    role: str = "specialist",
) -> Response:
    door.require(Role.CURATOR)
    rows = people_queries.memberships(session, door.campaign.id or 0)
    fields = people_queries.expertise_in(session, door.campaign.id or 0)
    names = taxa.views(session, {qid for qids in fields.values() for qid in qids}, asking.language)
    rank = {Role.CURATOR: 0, Role.SPECIALIST: 1, Role.VOLUNTEER: 2}
    members = tuple(
        Member(
            person,
            row.role.value,
            tuple(names[qid] for qid in sorted(fields.get(row.id or 0, ())) if qid in names),
            person.id == asking.signed_in().id,
        )
        for row, person in sorted(rows, key=lambda pair: (rank[pair[0].role], pair[1].name))
    )
    problems = _problems(problem, asking) if problem else ()
    page = PeoplePage(door, members, problems, name, role, helpers(session, door, asking.language))
    return render(request, page, problem.status if problem else 200)


@router.post("/c/{slug}/curate/people")
def grant(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    name: Annotated[str, Form()],
    role: Annotated[Role, Form()],
    taxon: Annotated[str, Form()] = "",
    taxon_words: Annotated[str, Form()] = "",
) -> Any:
    """Give a person a role; a taxon is added to a specialist's field."""
    door.require(Role.CURATOR)
    key = door.campaign.id or 0
    try:
        person = people.require_by_name(session, name)
        if role is not Role.CURATOR:
            people.keep_a_curator(session, key, person.id or 0)
        qid = _named_taxon(session, door, asking, taxon, taxon_words)
        before = people_queries.membership(session, key, person.id or 0)
        kept = people_queries.expertise(session, before.id or 0) if before and role is Role.SPECIALIST else set()
        people.grant(session, key, person, role, utc_now(), kept | ({qid} if qid else set()))
    except IconesError as error:
        session.rollback()
        return _people(request, session, door, asking, error, name, role.value)
    _ = translations(asking.language).ugettext
    given = {
        Role.VOLUNTEER: _("%(name)s is now a volunteer of this campaign."),
        Role.SPECIALIST: _("%(name)s is now a specialist of this campaign."),
        Role.CURATOR: _("%(name)s is now a curator of this campaign."),
    }
    flash(request, given[role] % {"name": person.name})
    return RedirectResponse(f"/c/{door.campaign.slug}/curate/people", 303)


def _named_taxon(session: Session, door: Door, asking: Visitor, qid: str, words: str) -> str:
    """Return the chosen taxon, or the one that the typed words name exactly; empty for neither."""
    if qid:
        return taxa.require(session, qid).qid
    if not words.strip():
        return ""
    hits = taxa.search(session, words, asking.language, door.campaign.root_taxon_qid)
    meant = taxa.the_one(hits)
    if meant is None:
        raise BadInputError(f"“{words.strip()}” is not the name of one taxon here. Choose one from the list.")
    return meant.qid


@router.post("/c/{slug}/curate/people/{person_id}/revoke")
def revoke(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor, person_id: RowId) -> Any:
    """Take a person's role away; what they said stays."""
    door.require(Role.CURATOR)
    people.keep_a_curator(session, door.campaign.id or 0, person_id)
    people.revoke(session, door.campaign.id or 0, person_id)
    flash(request, "The role is taken away. What this person said stays.", "notice")
    return RedirectResponse(f"/c/{door.campaign.slug}/curate/people", 303)


@router.post("/c/{slug}/curate/people/{person_id}/forget-field")
def forget_field(
    request: Request,
    door: CampaignDoor,
    session: DbSession,
    asking: CurrentVisitor,
    person_id: RowId,
    taxon: Annotated[str, Form()],
) -> Any:
    """Take one taxon out of a specialist's field."""
    door.require(Role.CURATOR)
    key = door.campaign.id or 0
    person = people_queries.people(session, {person_id}).get(person_id)
    row: Membership | None = people_queries.membership(session, key, person_id)
    if person is None or row is None:
        raise ConflictError("This person has no role in this campaign any more.")
    people.grant(session, key, person, row.role, utc_now(), people_queries.expertise(session, row.id or 0) - {taxon})
    return RedirectResponse(f"/c/{door.campaign.slug}/curate/people", 303)


@router.get("/c/{slug}/curate/exports")
def exports_page(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> Any:
    """List what was taken home."""
    door.require(Role.CURATOR)
    taken = tuple(export_queries.exports(session, door.campaign.id or 0))
    known = people_queries.people(session, {one.created_by for one in taken if one.created_by})
    page = ExportsPage(
        door,
        taken,
        {key: person.name for key, person in known.items()},
        identification_queries.n_verified_since(session, door.campaign.id or 0, None),
    )
    return render(request, page)


@router.post("/c/{slug}/curate/exports")
def take_export(request: Request, door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> Any:
    """Freeze what is verified now as the next export."""
    door.require(Role.CURATOR)
    taken = exports.take(session, door.campaign, asking.signed_in(), utc_now())
    _ = translations(asking.language).ugettext
    flash(request, _("Export %(n)s is ready.") % {"n": taken.number})
    return RedirectResponse(f"/c/{door.campaign.slug}/curate/exports", 303)


@router.get("/c/{slug}/exports/{number}.csv")
def download_export(request: Request, door: CampaignDoor, session: DbSession, number: RowId) -> Response:
    """Give an export's bytes, the same at every download."""
    door.require(Role.CURATOR)
    return csv_answer(request, exports.require(session, door.campaign, number))


def csv_answer(request: Request, export: Export) -> Response:
    """Return an export as a download; a reader who has these very bytes is told so instead."""
    headers = {
        "ETag": f'"{export.sha256}"',
        "Cache-Control": "private, max-age=31536000, immutable",
        "X-Checksum-SHA256": export.sha256,
        "Content-Disposition": f"attachment; filename=\"{export.filename}\"; filename*=UTF-8''{quote(export.filename)}",
    }
    if export.sha256 in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    return Response(export.content, media_type="text/csv; charset=utf-8; header=present", headers=headers)


@router.get("/campaigns/new")
def new_campaign_page(request: Request, session: DbSession, settings: AppSettings, asking: CurrentVisitor) -> Any:
    """Show the form of a new campaign."""
    require_founder(session, settings, asking)
    return render(request, NewCampaignPage({}))


@router.post("/campaigns/new", form_limits={"max_part_size": LARGE})
def new_campaign(
    request: Request,
    session: DbSession,
    settings: AppSettings,
    asking: CurrentVisitor,
    source: Annotated[SourceForm, Depends(source_form)],
    title: Annotated[str, Form()] = "",
    description: Annotated[str, Form()] = "",
    collection: Annotated[str, Form()] = "",
    visibility: Annotated[Visibility, Form()] = Visibility.PUBLIC,
    slug: Annotated[str, Form()] = "",
    object_number_pattern: Annotated[str, Form()] = campaigns.DEFAULT_OBJECT_NUMBER,
    root: Annotated[str, Form()] = "",
    root_words: Annotated[str, Form()] = "",
) -> Any:
    """Make a campaign of files on Commons and ask for its illustrations."""
    person = require_founder(session, settings, asking)
    try:
        new = NewCampaign(
            title, source.source_kind, source.source, source.source_depth, description, collection, visibility, slug,
            object_number_pattern=object_number_pattern,
        )  # fmt: skip
        made = campaigns.create(session, person, new, utc_now())
    except IconesError as error:
        typed = {
            "title": title, **source.typed(), "description": description, "collection": collection,
            "visibility": visibility.value, "slug": slug,
            "object_number_pattern": object_number_pattern, "root": root, "root_words": root_words,
        }  # fmt: skip
        return render(request, NewCampaignPage(typed, _problems(error, asking)), error.status)
    runner.ask(session, JobKind.SYNC, made, utc_now(), person=person)
    ask_for_scope(session, made, root or root_words, utc_now(), person=person)
    flash(request, "The campaign is made. Its illustrations are being fetched from Commons.")
    return RedirectResponse(f"/c/{made.slug}/curate", 303)


def may_found(session: Session, settings: Settings, person: Person | None) -> bool:
    """Say whether a person may make campaigns: site admins, and in the demo its curator."""
    if person is None:
        return False
    return person.is_admin or (settings.is_demo and people_queries.keeps_a_campaign(session, person.id or 0))


def require_founder(session: Session, settings: Settings, asking: Visitor) -> Person:
    """Return the person who asks, if they may make campaigns."""
    person = asking.signed_in()
    if not may_found(session, settings, person):
        raise NotAllowedError("Campaigns are made by the site's admins. Ask one of them.")
    return person
