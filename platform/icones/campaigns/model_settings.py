"""What a campaign's model learns from, at which rank it sorts, and whether it may verify alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from icones.campaigns import model_queries as queries
from icones.campaigns.service import Door
from icones.errors import BadInputError
from icones.models import Campaign, Person, Role, Writes

RANKS = ("", "genus", "family")
"""At which rank a model may sort; empty for the names as they are given."""
LEAST_PRECISION, MOST_PRECISION = 0.9, 0.999
WRITES_ALREADY = "This campaign writes to Commons. What no person confirmed is never written: turn writing off first."


@dataclass(frozen=True)
class ModelSettings:
    """What a curator says about a campaign's model."""

    learns_from: tuple[str, ...] = ()
    """Short names of other campaigns whose verified figures it learns from too."""
    model_rank: str = ""
    auto_precision: float = 0.99
    auto_validates: bool = False


@dataclass(frozen=True)
class Source:
    """A campaign that this one's model learns from, or could."""

    campaign: Campaign
    n_verified: int
    """Figures that people verified as a taxon."""
    is_own: bool
    is_chosen: bool


@dataclass(frozen=True)
class Sources:
    """All that may be chosen, the campaign itself first."""

    rows: tuple[Source, ...]
    n_hidden: int
    """Chosen ones that this person may not see; another curator chose them, and they stay."""


def read(session: Session, campaign: Campaign) -> ModelSettings:
    """Return the settings as they are."""
    chosen = [session.get_one(Campaign, key) for key in queries.sources(session, campaign.id or 0)]
    return ModelSettings(
        tuple(sorted(one.slug for one in chosen)), campaign.model_rank, campaign.auto_precision, campaign.auto_validates
    )


def sources(session: Session, door: Door, person: Person | None, chosen: Sequence[str] | None = None) -> Sources:
    """Return which campaigns this person may let the model learn from: public ones, and those they are curator of.

    ``person`` is None for the command line, which sees all. ``chosen`` are the ones to show as chosen, where a form is
    shown again; else those that are.
    """
    own = door.campaign.id or 0
    present = queries.sources(session, own)
    seen = _open_to(session, person)
    counts = queries.n_verified(session, [own, *(one.id or 0 for one in seen)])
    rows = [Source(door.campaign, counts.get(own, 0), is_own=True, is_chosen=True)]
    for one in seen:
        if one.id != own:
            is_chosen = one.id in present if chosen is None else one.slug in chosen
            rows.append(Source(one, counts.get(one.id or 0, 0), is_own=False, is_chosen=is_chosen))
    return Sources(tuple(rows), len(present - {one.id for one in seen}))


def save(session: Session, door: Door, person: Person | None, wanted: ModelSettings) -> None:
    """Keep the settings. The caller gives back what the model may no longer verify alone, and asks for training."""
    door.require(Role.CURATOR)
    own = door.campaign
    if wanted.model_rank not in RANKS:
        raise BadInputError("The model sorts by the names as they are given, by genus, or by family.")
    if not LEAST_PRECISION <= wanted.auto_precision <= MOST_PRECISION:
        raise BadInputError("The share of right ones that is asked for lies between 0.9 and 0.999.")
    if wanted.auto_validates and own.writes is not Writes.OFF:
        raise BadInputError(WRITES_ALREADY)
    learn_from(session, door, person, wanted.learns_from)
    own.model_rank, own.auto_precision = wanted.model_rank, wanted.auto_precision
    own.auto_validates = wanted.auto_validates
    session.add(own)
    session.flush()


def learn_from(session: Session, door: Door, person: Person | None, slugs: Sequence[str]) -> None:
    """Let a campaign's model learn from these other campaigns too; those that this person may not see stay."""
    door.require(Role.CURATOR)
    own = door.campaign.id or 0
    known = {one.slug: one.id or 0 for one in _open_to(session, person)}
    wrong = [slug for slug in slugs if slug not in known]
    if wrong:
        raise BadInputError(f"There is no campaign “{wrong[0]}” that this one may learn from.")
    hidden = queries.sources(session, own) - set(known.values())
    queries.set_sources(session, own, {known[slug] for slug in slugs} - {own} | hidden)


def _open_to(session: Session, person: Person | None) -> Sequence[Campaign]:
    return queries.open_to(session, person.id if person else None, everything=person is None or person.is_admin)
