"""What is done with campaigns: made, found, opened to the right people, and their rules set."""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from icones.campaigns import queries
from icones.campaigns.sources import ON_THE_WIKI, checked_source
from icones.errors import BadInputError, ConflictError, NotAllowedError, NotFoundError, NotSignedInError
from icones.models import (
    Campaign,
    ConsensusRule,
    DeterminationState,
    IllustrationState,
    Person,
    Role,
    SourceKind,
    Visibility,
)
from icones.people import service as people
from icones.taxa.names import folded

TWO_THIRDS = 2 / 3
"""Kept exactly: "more than two thirds" must not be reached by two of three."""
DEFAULT_OBJECT_NUMBER = r"\bRP-[A-Z]+(?:-[A-Z0-9]+)+\b"


@dataclass(frozen=True)
class NewCampaign:
    """What a curator says when making a campaign."""

    title: str
    source_kind: SourceKind
    source: str
    source_depth: int = 0
    description: str = ""
    collection: str = ""
    visibility: Visibility = Visibility.PUBLIC
    slug: str = ""
    root_taxon_qid: str | None = None
    backbone: str = ""
    object_number_pattern: str = DEFAULT_OBJECT_NUMBER


@dataclass(frozen=True)
class Rules:
    """What consensus and retraining go by; see docs/decisions for the reasons behind the defaults."""

    quorum: int
    agreement: float
    agreed_is_verified: bool
    retrain_after: int
    rule: ConsensusRule | None = None
    """None leaves this one and the next two as they are."""
    blind_votes: int | None = None
    gold_share: float | None = None


@dataclass(frozen=True)
class Door:
    """A campaign that a person may enter, and as what."""

    campaign: Campaign
    role: Role | None
    """None for a reader who is not signed in."""

    def require(self, role: Role) -> None:
        """Raise unless this person is at least ``role`` here."""
        if self.role is None:
            raise NotSignedInError("Sign in with your Wikimedia account to do this.")
        if people.RANK_OF_ROLE[self.role] < people.RANK_OF_ROLE[role]:
            raise NotAllowedError(f"This is for the {role.value}s of this campaign.")

    @property
    def is_specialist(self) -> bool:
        """Whether this person settles disputes here."""
        return self.role in (Role.SPECIALIST, Role.CURATOR)

    @property
    def is_curator(self) -> bool:
        """Whether this person keeps this campaign."""
        return self.role is Role.CURATOR


@dataclass(frozen=True)
class Progress:
    """How far a campaign has come. Counts of figures, except ``illustrations``."""

    by_state: dict[DeterminationState, int]
    illustrations: dict[IllustrationState, int]
    people: int

    @property
    def total(self) -> int:
        """All figures whose image is there."""
        return sum(self.by_state.values())

    @property
    def settled(self) -> int:
        """Figures that nobody needs to look at again."""
        return self.of(DeterminationState.VERIFIED) + self.of(DeterminationState.UNIDENTIFIABLE)

    def of(self, state: DeterminationState) -> int:
        """Figures in one state."""
        return self.by_state.get(state, 0)

    @property
    def share(self) -> float:
        """The settled share, 0 to 1."""
        return self.settled / self.total if self.total else 0.0


def open_door(session: Session, slug: str, person: Person | None) -> Door:
    """Return the campaign and the person's role in it: the one way in. A private one hides from strangers."""
    campaign = queries.by_slug(session, slug)
    if campaign is None:
        raise NotFoundError(f"There is no campaign “{slug}”.")
    return door_of(session, campaign, person)


def door_of(session: Session, campaign: Campaign, person: Person | None) -> Door:
    """Return a person's way into a campaign that is already at hand (see ``open_door``)."""
    role = people.role_in(session, campaign.id or 0, person)
    if role is None and campaign.visibility is Visibility.PRIVATE:
        raise NotFoundError(f"There is no campaign “{campaign.slug}”.")
    return Door(campaign, role or (Role.VOLUNTEER if person else None))


def create(session: Session, person: Person | None, new: NewCampaign, now: datetime) -> Campaign:
    """Make a campaign; its maker becomes its curator. ``person`` is None for the command line."""
    title = new.title.strip()
    if not title:
        raise BadInputError("A campaign needs a title.")
    source = checked_source(new.source_kind, new.source)
    _check_depth(new.source_depth)
    check_pattern(new.object_number_pattern)
    slug = slug_of(new)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,79}", slug):
        raise BadInputError("The short name may hold small letters, digits and hyphens, at least two.")
    if queries.by_slug(session, slug) is not None:
        raise ConflictError(f"There is a campaign “{slug}” already. Choose another short name.")
    campaign = Campaign(
        slug=slug,
        title=title[:200],
        description=new.description.strip()[:4000],
        source_kind=new.source_kind,
        source=source,
        source_depth=new.source_depth,
        root_taxon_qid=new.root_taxon_qid,
        visibility=new.visibility,
        collection=new.collection.strip()[:200],
        object_number_pattern=new.object_number_pattern.strip(),
        backbone=new.backbone,
        rule=ConsensusRule.COMMUNITY,
        agreement=TWO_THIRDS,
        created_by=person.id if person else None,
        created_at=now,
    )
    session.add(campaign)
    session.flush()
    if person is not None:
        people.grant(session, campaign.id or 0, person, Role.CURATOR, now)
    return campaign


def set_category(session: Session, door: Door, category: str, depth: int) -> None:
    """Let a campaign look at another category, or deeper; what the new one lacks is kept and marked as gone."""
    door.require(Role.CURATOR)
    if door.campaign.source_kind is not SourceKind.CATEGORY:
        raise BadInputError("This campaign's illustrations do not come from a category.")
    _check_depth(depth)
    door.campaign.source_depth = depth
    set_source(session, door, category)


def set_source(session: Session, door: Door, source: str) -> None:
    """Give a campaign another source of the same kind: another category, list or query. The next sync follows it."""
    door.require(Role.CURATOR)
    own = door.campaign
    if own.source_kind not in ON_THE_WIKI:
        raise BadInputError("This campaign's illustrations do not come from Commons.")
    own.source = checked_source(own.source_kind, source)
    own.changes_read_at = own.checked_at = None  # they were about the source before
    session.add(own)


def _check_depth(depth: int) -> None:
    if not 0 <= depth <= 5:
        raise BadInputError("The depth of subcategories is a number from 0 to 5.")


def slug_of(new: NewCampaign) -> str:
    """Return a new campaign's short name: as given, else made from its title."""
    return new.slug.strip() or "-".join(folded(new.title).split())[:60]


def forget_empty(session: Session, campaign: Campaign) -> None:
    """Remove a campaign into which nothing ever came; its runs go too. Raises ConflictError if something did."""
    queries.delete_empty(session, campaign.id or 0)


def check_pattern(pattern: str) -> None:
    """Raise BadInputError unless ``pattern`` is a regular expression that Python reads."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise BadInputError(f"The pattern of object numbers is not a regular expression: {error}.") from error


def set_rules(session: Session, door: Door, rules: Rules) -> None:
    """Set the rules by which a campaign decides. The caller recomputes its determinations."""
    door.require(Role.CURATOR)
    if not 1 <= rules.quorum <= 10:
        raise BadInputError("The quorum is a number from 1 to 10.")
    if not 0.5 <= rules.agreement <= 1:
        raise BadInputError("The share that must agree lies between 0.5 and 1.")
    if not 0 <= rules.retrain_after <= 100_000:
        raise BadInputError("Retrain after a number of figures from 0 (never by itself) up.")
    if rules.blind_votes is not None and not 0 <= rules.blind_votes <= 5:
        raise BadInputError("So many name a figure unaided: a number from 0 to 5.")
    if rules.gold_share is not None and not 0 <= rules.gold_share <= 0.2:
        raise BadInputError("The share of questions that check how well people know it lies between 0 and 0.2.")
    campaign = door.campaign
    campaign.quorum = rules.quorum
    campaign.rule = campaign.rule if rules.rule is None else rules.rule
    is_two_thirds = campaign.rule is ConsensusRule.COMMUNITY and abs(rules.agreement - TWO_THIRDS) < 0.001
    campaign.agreement = TWO_THIRDS if is_two_thirds else rules.agreement
    campaign.blind_votes = campaign.blind_votes if rules.blind_votes is None else rules.blind_votes
    campaign.gold_share = campaign.gold_share if rules.gold_share is None else rules.gold_share
    campaign.agreed_is_verified = rules.agreed_is_verified
    campaign.retrain_after = rules.retrain_after
    session.add(campaign)


def progress(session: Session, campaign: Campaign) -> Progress:
    """Return how far a campaign has come."""
    key = campaign.id or 0
    return Progress(
        queries.counts_by_state(session, key),
        queries.counts_of_illustrations(session, key),
        queries.n_people(session, key),
    )
