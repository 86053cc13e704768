"""What the report on a model version shows: the numbers that were kept with it, with names and pictures to them.

Nothing is measured here. A version that was trained before there were model cards shows the shorter report.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from sqlmodel import Session

from active_learning import AutoThreshold, ModelCard, Report, Share
from active_learning.card import LookAlike, NeedyClass
from icones.campaigns.service import Door
from icones.learning import queries, trial_queries
from icones.models import BackboneTrial, ModelVersion, Person
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web.cases import crop_address
from icones.web.model_privacy import LeftOut, open_card, open_labels, open_slugs

MATRIX_UP_TO = 30
"""With more taxa a table of all pairs is a wallpaper; the pairs that are confused most are listed instead."""
WORST_PAIRS = 10
PICTURED_PAIRS = 6
PLATES_EACH = 3
NEEDIEST = 12
QID = re.compile(r"\bQ[1-9]\d*\b")


@dataclass(frozen=True)
class Bin:
    """Figures for which the model said about the same probability, and how often it was right."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class ClassRow:
    """One taxon in the report. Shares are None where there was nothing to divide by."""

    taxon: TaxonView
    precision: float | None
    recall: float | None
    support: int


@dataclass(frozen=True)
class ConfusedPair:
    """Figures of one taxon that the model took for another."""

    truth: TaxonView
    said: TaxonView
    count: int


@dataclass(frozen=True)
class Plate:
    """A verified figure of a taxon."""

    image_url: str
    address: str


@dataclass(frozen=True)
class PairRow:
    """Two taxa that are taken for one another, with verified figures of both."""

    counts: LookAlike
    a: TaxonView
    b: TaxonView
    a_plates: tuple[Plate, ...]
    b_plates: tuple[Plate, ...]


@dataclass(frozen=True)
class NeedyRow:
    """A taxon for which more images would help, with a verified figure from which to look for more."""

    counts: NeedyClass
    taxon: TaxonView
    other: TaxonView | None
    plate: Plate | None
    similar: str
    """Address of the figures that look like its example; "" without one."""


@dataclass(frozen=True)
class Dot:
    """A point of a curve."""

    x: int
    share: Share


@dataclass(frozen=True)
class Curve:
    """A curve with the places on its axis that bear a number."""

    dots: tuple[Dot, ...]
    ticks: tuple[int, ...]
    most: int


@dataclass(frozen=True)
class RankReliability:
    """Does what it says at one rank mean what it says?"""

    rank: str
    bins: tuple[Bin, ...]
    ece: float


@dataclass(frozen=True)
class CardView:
    """A model card as the page shows it."""

    card: ModelCard
    reliability: tuple[RankReliability, ...]
    said: tuple[tuple[str, float], ...]
    """Of all figures, the share of which each rank is the deepest that is said; last, as ``""``, the silent ones."""
    accuracy_by_taxa: Curve | None
    recall_by_taxa: Curve | None
    accuracy_by_labels: Curve | None
    pairs: tuple[PairRow, ...]
    more_pairs: tuple[PairRow, ...]
    needy: tuple[NeedyRow, ...]
    settled: tuple[tuple[TaxonView, AutoThreshold], ...]
    """Taxa that have a threshold of their own."""
    n_unsettled: int


@dataclass(frozen=True)
class LossRow:
    """A taxon of which this version names fewer held-out figures rightly than the one that served."""

    taxon: TaxonView
    n: int
    before: int
    now: int
    is_too_much: bool


@dataclass(frozen=True)
class ModelPage:
    """The report on one version."""

    template: ClassVar[str] = "pages/model.html"
    door: Door
    version: ModelVersion
    report: Report
    card: CardView | None
    duel: Mapping[str, Any]
    """The figures behind the verdict, as ``active_learning.Verdict`` tells them; empty where they were not kept."""
    worse: tuple[TaxonView, ...]
    """Taxa that lose more figures to this version than they may."""
    losses: tuple[LossRow, ...]
    """All that lose some, those that lose most first; empty where they were not kept."""
    gone: tuple[TaxonView, ...]
    """Taxa that the one that served names, and of which no label is left."""
    trial: BackboneTrial | None
    n_labels: int
    n_stated: int
    left_out: LeftOut
    """What is of campaigns that this reader does not see."""
    bins: tuple[Bin, ...]
    classes: tuple[ClassRow, ...]
    matrix_taxa: tuple[TaxonView, ...]
    matrix: tuple[tuple[int, ...], ...]
    pairs: tuple[ConfusedPair, ...]
    rare: tuple[TaxonView, ...]
    remarks: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...]
    section: str = "campaigns"


def report_of(version: ModelVersion) -> Report:
    """Return a version's report, without what is kept beside it (``card_of``, ``duel_of``)."""
    own = {field.name for field in fields(Report)}
    return Report.from_dict({key: value for key, value in version.report.items() if key in own})


def card_of(version: ModelVersion) -> ModelCard | None:
    """Return a version's card, or None where it was trained before there were any, or nothing was measured."""
    kept = version.report.get("card")
    return ModelCard.from_dict(kept) if kept else None


def duel_of(version: ModelVersion) -> Mapping[str, Any]:
    """Return the figures behind a version's verdict where both models were measured; empty otherwise."""
    kept: Mapping[str, Any] = version.report.get("verdict") or {}
    return kept if kept.get("champion_accuracy") is not None else {}


def open_record(
    session: Session, door: Door, version: ModelVersion, person: Person | None
) -> tuple[ModelCard | None, list[dict[str, Any]], LeftOut]:
    """Return a version's card and the labels it learned from, as far as this reader may know them."""
    slugs, card, n_sources = open_slugs(session, door, person), card_of(version), 0
    if card is not None:
        card, n_sources = open_card(card, slugs)
    labels, n_labels = open_labels(version.snapshot.get("labels", ()), door.campaign.slug, slugs)
    return card, labels, LeftOut(n_labels, n_sources)


def model_page_of(
    session: Session, door: Door, version: ModelVersion, language: str, person: Person | None
) -> ModelPage:
    """Return the report on a version as this reader may see it, with names in this language."""
    report, duel = report_of(version), duel_of(version)
    card, _, left_out = open_record(session, door, version, person)
    labels = version.snapshot.get("labels", [])
    worse, gone, losses = (duel.get(key) or [] for key in ("worse_classes", "gone_classes", "losses"))
    in_duel = {*worse, *gone, *(row["qid"] for row in losses)}
    names = taxa.views(session, _mentioned(report, card) | in_duel, language)
    matrix_taxa, matrix = _matrix(report, names)
    parameters = dict(version.parameters)
    environment: Mapping[str, Any] = parameters.pop("environment", {})
    return ModelPage(
        door=door,
        version=version,
        report=report,
        card=_card_view(session, door, card, names) if card is not None and card.n else None,
        duel=duel,
        worse=tuple(named(qid, names) for qid in worse),
        losses=tuple(
            LossRow(named(row["qid"], names), row["n"], row["before"], row["now"], row["is_too_much"]) for row in losses
        ),
        gone=tuple(named(qid, names) for qid in gone),
        trial=trial_queries.latest(session, door.campaign.id or 0),
        n_labels=len(labels),
        n_stated=sum(1 for label in labels if label.get("origin") == "stated"),
        left_out=left_out,
        bins=tuple(Bin(one.mean_confidence, one.accuracy, one.n) for one in report.reliability),
        classes=_classes(report, names),
        matrix_taxa=matrix_taxa,
        matrix=matrix,
        pairs=_confused(report, names),
        rare=tuple(names[qid] for qid in report.rare_classes if qid in names),
        remarks=tuple(in_words(note, names) for note in notes_of(report, card)),
        parameters=tuple((name, str(value)) for name, value in parameters.items()),
        environment=tuple((name, str(value)) for name, value in environment.items()),
    )


def names_of(session: Session, version: ModelVersion, language: str) -> Mapping[str, TaxonView]:
    """Return the taxa that a version's report or card speaks of."""
    return taxa.views(session, _mentioned(report_of(version), card_of(version)), language)


def notes_of(report: Report, card: ModelCard | None) -> tuple[str, ...]:
    """Return what is noted in the report and on the card, each note once."""
    return tuple(dict.fromkeys((*report.notes, *(card.notes if card is not None else ()))))


def in_words(note: str, names: Mapping[str, TaxonView]) -> str:
    """Return a note with names in the place of Q-ids."""
    return QID.sub(lambda found: named(found.group(), names).scientific_name, note)


def named(qid: str, names: Mapping[str, TaxonView]) -> TaxonView:
    """Return the taxon; one that nobody knows any more bears its Q-id."""
    return names.get(qid) or TaxonView(qid, qid, "", "", "", {}, (qid,))


def _mentioned(report: Report, card: ModelCard | None) -> set[str]:
    qids = {qid for note in notes_of(report, card) for qid in QID.findall(note)}
    qids |= {*report.confusion.classes, *report.rare_classes, *(row.qid for row in report.per_class)}
    if card is not None:
        qids |= {qid for pair in card.pairs for qid in (pair.a, pair.b)}
        qids |= {qid for row in card.needy for qid in (row.qid, row.confused_with) if qid}
        qids |= {row.qid for row in card.thresholds}
    return qids


def _card_view(session: Session, door: Door, card: ModelCard, names: Mapping[str, TaxonView]) -> CardView:
    slug = door.campaign.slug
    needy = card.needy[:NEEDIEST]
    pictured = {qid for pair in card.pairs[:PICTURED_PAIRS] for qid in (pair.a, pair.b)} | {row.qid for row in needy}
    found = queries.examples(session, door.campaign.id or 0, pictured, PLATES_EACH)
    plates = {
        qid: tuple(Plate(crop_address(slug, figure), f"/c/{slug}/f/{figure}") for figure, _ in rows)
        for qid, rows in found.items()
    }
    pairs = tuple(
        PairRow(pair, named(pair.a, names), named(pair.b, names), plates.get(pair.a, ()), plates.get(pair.b, ()))
        for pair in card.pairs
    )
    settled = tuple((named(row.qid, names), row) for row in card.thresholds if row.threshold is not None)
    said = tuple((row.figures.rank, row.coverage.value) for row in card.ranks if row.promised is not None)
    return CardView(
        card=card,
        reliability=tuple(
            RankReliability(
                row.figures.rank,
                tuple(Bin(one.mean_confidence, one.accuracy, one.n) for one in row.bins),
                row.figures.calibration.ece,
            )
            for row in card.ranks
        ),
        said=(*said, ("", max(0.0, 1.0 - sum(part for _, part in said)))) if said else (),
        accuracy_by_taxa=curve([Dot(point.taxa, point.accuracy) for point in card.inclusion]),
        recall_by_taxa=curve([Dot(point.taxa, point.mean_recall) for point in card.inclusion]),
        accuracy_by_labels=curve([Dot(point.labels, point.balanced_accuracy) for point in card.learning]),
        pairs=pairs[:PICTURED_PAIRS],
        more_pairs=pairs[PICTURED_PAIRS:],
        needy=tuple(_needy(row, names, plates) for row in needy),
        settled=settled,
        n_unsettled=card.n_classes - len(settled),
    )


def _needy(row: NeedyClass, names: Mapping[str, TaxonView], plates: Mapping[str, Sequence[Plate]]) -> NeedyRow:
    plate = next(iter(plates.get(row.qid, ())), None)
    other = named(row.confused_with, names) if row.confused_with else None
    return NeedyRow(row, named(row.qid, names), other, plate, f"{plate.address}/similar" if plate else "")


def curve(dots: Sequence[Dot]) -> Curve | None:
    """Return the dots with round numbers for their axis; None with fewer than two, which are no curve."""
    if len(dots) < 2:
        return None
    most = max(dot.x for dot in dots)
    steps = (size * 10**power for power in range(9) for size in (1, 2, 5))
    step = next(one for one in steps if most / one <= 5)
    return Curve(tuple(dots), tuple(range(0, most + 1, step)), most)


def _classes(report: Report, names: Mapping[str, TaxonView]) -> tuple[ClassRow, ...]:
    said = {report.confusion.classes[place] for _, place, _ in report.confusion.cells}
    rows = [
        ClassRow(
            names[row.qid],
            row.precision if row.qid in said else None,  # one of 0 means something only where the name was given
            row.recall if row.support else None,
            row.support,
        )
        for row in report.per_class
        if row.qid in names
    ]
    return tuple(sorted(rows, key=lambda row: (row.recall is None, row.recall or 0.0, row.taxon.scientific_name)))


def _matrix(
    report: Report, names: Mapping[str, TaxonView]
) -> tuple[tuple[TaxonView, ...], tuple[tuple[int, ...], ...]]:
    """Return the taxa and counts of the confusion matrix, relatives side by side; empty for too many taxa."""
    classes = report.confusion.classes
    seen = {place for true, said, _ in report.confusion.cells for place in (true, said) if classes[place] in names}
    order = sorted(seen, key=lambda place: _by_lineage(names[classes[place]]))
    if not order or len(order) > MATRIX_UP_TO:
        return (), ()
    full = report.confusion.matrix()
    return (
        tuple(names[classes[place]] for place in order),
        tuple(tuple(int(full[true, said]) for said in order) for true in order),
    )


def _by_lineage(view: TaxonView) -> tuple[tuple[str, ...], str]:
    return tuple(reversed(view.lineage)), view.scientific_name


def _confused(report: Report, names: Mapping[str, TaxonView]) -> tuple[ConfusedPair, ...]:
    classes = report.confusion.classes
    wrong = sorted((-count, true, said) for true, said, count in report.confusion.cells if true != said)
    return tuple(
        ConfusedPair(names[classes[true]], names[classes[said]], -count)
        for count, true, said in wrong[:WORST_PAIRS]
        if classes[true] in names and classes[said] in names
    )
