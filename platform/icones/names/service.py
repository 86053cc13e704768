"""What is done with written names: asked for, kept, and settled by a curator. Never an identification of a figure."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlmodel import Session

from icones.errors import ConflictError, NotFoundError
from icones.models import Campaign, NameAnswer, NameState, Person
from icones.names import queries
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from wiki_sync.names import Candidate, Resolution

PERSON = "person"
BY_PEOPLE = (NameState.SETTLED, NameState.NO_TAXON)
LONGEST_CANDIDATES = 12


@dataclass(frozen=True)
class KeptNames:
    """What came of some answers: numbers of names. ``waiting`` are the open ones that somebody did not answer for."""

    matched: int = 0
    open: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Shown:
    """A candidate as a page shows it; ``taxon`` is None where Wikidata has no item for it."""

    taxon: TaxonView | None
    name: str
    authorship: str
    rank: str
    source: str
    above: str


def to_ask(session: Session, campaign: Campaign, *, again: bool = False) -> list[str]:
    """Return the written names to be asked for: new ones, and open ones for which somebody did not answer.

    With ``again`` all open ones. What is matched or was settled by a curator is not asked again.
    """
    names = queries.written(session, campaign.id or 0)
    known = queries.answers(session, campaign.id or 0, names)

    def is_due(name: str) -> bool:
        row = known.get(name)
        return row is None or (row.state is NameState.OPEN and (again or row.asked_at is None))

    return sorted(name for name in names if is_due(name))


def keep(session: Session, campaign: Campaign, resolutions: Iterable[Resolution], now: datetime) -> KeptNames:
    """Write down what was answered; what a curator said stays. The taxa must be kept already."""
    given = {one.verbatim: one for one in resolutions}
    known = queries.answers(session, campaign.id or 0, given, lock=True)  # a curator may be at work this very moment
    matched = still_open = waiting = 0
    for verbatim, one in given.items():
        row = known.get(verbatim) or NameAnswer(campaign_id=campaign.id or 0, verbatim=verbatim, created_at=now)
        if row.state in BY_PEOPLE:
            continue
        _write(row, one, now)
        session.add(row)
        matched += row.state is NameState.MATCHED
        still_open += row.state is NameState.OPEN
        waiting += not one.is_complete
    return KeptNames(matched, still_open, waiting)


def _write(row: NameAnswer, one: Resolution, now: datetime) -> None:
    row.state = NameState.MATCHED if one.qid else NameState.OPEN
    row.cleaned, row.matcher, row.version = one.cleaned[:400], one.matcher, one.version[:120]
    row.match_type, row.confidence = one.match_type[:40], one.confidence
    row.matched_name, row.accepted_name = one.matched_name[:300], one.accepted_name[:300]
    row.taxon_qid = one.qid
    row.candidates = [asdict(candidate) for candidate in one.candidates]
    row.note = one.note[:500]
    row.asked_at = now if one.is_complete else None  # None: asked again by the next run


def require(session: Session, campaign: Campaign, answer_id: int) -> NameAnswer:
    """Return a campaign's name, or raise NotFoundError."""
    row = queries.answer(session, answer_id)
    if row is None or row.campaign_id != campaign.id:
        raise NotFoundError("There is no such name in this campaign.")
    return row


def settle(session: Session, row: NameAnswer, person: Person, qid: str, now: datetime) -> None:
    """Write down which taxon a name means by a curator's word; it holds for all illustrations that bear the name."""
    taxon = taxa.require(session, qid)
    _remember(session, row)
    row.state, row.taxon_qid, row.accepted_name = NameState.SETTLED, taxon.qid, taxon.scientific_name
    _sign(session, row, person, now)


def names_no_taxon(session: Session, row: NameAnswer, person: Person, now: datetime) -> None:
    """Write down a curator's word that a name names no taxon."""
    _remember(session, row)
    row.state, row.taxon_qid, row.accepted_name = NameState.NO_TAXON, None, ""
    _sign(session, row, person, now)


def undo(session: Session, row: NameAnswer) -> None:
    """Take a curator's word back: the name is open again, and the next run asks for it anew."""
    if row.state not in BY_PEOPLE:
        raise ConflictError("Nobody has settled this name, so there is nothing to take back.")
    _remember(session, row)
    row.state, row.taxon_qid, row.accepted_name = NameState.OPEN, None, ""
    row.matcher, row.match_type, row.note = "", "", "A curator took the answer back."
    row.settled_by, row.settled_at, row.asked_at = None, None, None
    session.add(row)


def _sign(session: Session, row: NameAnswer, person: Person, now: datetime) -> None:
    row.matcher, row.version, row.match_type, row.confidence, row.note = PERSON, "", "", None, ""
    row.settled_by, row.settled_at = person.id, now
    session.add(row)


def _remember(session: Session, row: NameAnswer) -> None:
    """Keep the taxon that a name had so far among its candidates, so that the way back is one tap."""
    if row.taxon_qid is None or any(one.get("qid") == row.taxon_qid for one in row.candidates):
        return
    taxon = taxa.require(session, row.taxon_qid)
    before = Candidate(taxon.qid, taxon.scientific_name, taxon.authorship, taxon.rank, row.matcher, "")
    row.candidates = [asdict(before), *row.candidates][:LONGEST_CANDIDATES]


def taxon_of(session: Session, campaign: Campaign, verbatim: str, language: str) -> TaxonView | None:
    """Return the taxon that a collection's name was found to mean, as pages show it; None while nobody knows."""
    row = queries.of_name(session, campaign.id or 0, verbatim) if verbatim else None
    if row is None or row.taxon_qid is None:
        return None
    (shown,) = taxa.views(session, [row.taxon_qid], language).values() or (None,)
    return shown


def shown_candidates(session: Session, row: NameAnswer, language: str) -> tuple[Shown, ...]:
    """Return a name's candidates with their taxa."""
    found = taxa.views(session, [one["qid"] for one in row.candidates if one.get("qid")], language)
    return tuple(
        Shown(
            found.get(one.get("qid") or ""),
            one.get("name", ""),
            one.get("authorship", ""),
            one.get("rank", ""),
            one.get("source", ""),
            one.get("above", ""),
        )
        for one in row.candidates
    )
