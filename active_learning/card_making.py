"""Making a model card from evidence: each part is measured on the same figures, in an order of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from active_learning.auto_thresholds import AutoThreshold, auto_threshold, auto_thresholds, least_sources
from active_learning.calibration import reliability_bins
from active_learning.card import (
    CONFUSED,
    FEW_LABELS,
    LOW_RECALL,
    NOT_MEASURED,
    SINGLE_SOURCE,
    LookAlike,
    Mistakes,
    ModelCard,
    NeedyClass,
    NoveltyFigures,
    Proof,
    RankCard,
    SetFigures,
    SourceFigures,
)
from active_learning.curves import CurvePoint, inclusion_curve
from active_learning.evidence import Evidence
from active_learning.intervals import Share, mean_recall, numbered, share
from active_learning.metrics import REPORTED_RANKS
from active_learning.novelty import auroc, tpr_at
from active_learning.ranks import Claim, RankModel, RankScale, known_ranks, measure_ranks
from active_learning.taxonomy import Taxonomy

MOST_PAIRS = 24
MOST_NEEDY = 40
FEW = 5  # labels below which a taxon has few
LOW = 0.5  # recall below which a taxon is found too rarely
POOLED_TARGETS = (0.95, 0.98)
Sets = Sequence[Collection[str]]


@dataclass(frozen=True, eq=False)
class _Exact:
    """The figures whose name is as exact as a class, and what the model said of them. All arrays have length n."""

    rows: NDArray[np.int64]  # in the evidence
    names: tuple[str, ...]  # the classes, then truths that are none of them
    truth: NDArray[np.int64]  # positions in `names`
    said: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]
    groups: NDArray[np.int64]


def make_card(
    evidence: Evidence,
    taxonomy: Taxonomy,
    *,
    ranks: RankModel | None = None,
    sets: Sets | None = None,
    novelty: NoveltyFigures | None = None,
    curve: Sequence[CurvePoint] = (),
    holdout: Evidence | None = None,
    target_precision: float = 0.99,
    set_coverage: float = 0.9,
    notes: Sequence[str] = (),
    seed: int = 0,
) -> ModelCard:
    """The card on this evidence; the order of the figures changes nothing in it.

    `ranks` says what is said aloud; without it, the plain probabilities are measured at each rank and nothing is said.
    `sets` (n,) are the taxa that shall hold each figure's truth, promised to do so for the share `set_coverage`;
    `curve` comes from `learning_curve`, `novelty` from `novelty_figures`. A figure whose name lies above the classes
    counts at the ranks that it tells of only; a rank of which the model knows a single taxon tells nothing.

    Thresholds for settling rest on nothing but the verified figures of `holdout`, or of `evidence` where it is None:
    what was cross-validated, or has a name that nobody checked, proves none.

    Raises ValueError if `sets` has another length than the evidence.
    """
    if sets is not None and len(sets) != len(evidence):
        raise ValueError(f"{len(sets)} sets for {len(evidence)} figures")
    evidence, sets = _in_order(evidence, sets)
    exact = _exact(evidence, taxonomy)
    if len(exact.rows) == 0:
        return ModelCard("nothing", n_classes=len(evidence.classes), notes=tuple(notes))
    known = np.where(exact.truth < len(evidence.classes), exact.truth, -1)
    everywhere = np.full(len(evidence), -1, dtype=np.int64)
    everywhere[exact.rows] = known
    first_five = np.argsort(-evidence.proba[exact.rows], axis=1, kind="stable")[:, :5]
    spoken = _spoken(evidence, taxonomy, ranks)
    sure, sure_coverage = _sure(evidence, taxonomy, spoken)
    pairs = _pairs(exact, taxonomy)
    proving = _proving(evidence if holdout is None else holdout, taxonomy)
    return ModelCard(
        measured_on=evidence.measured_on,
        n=len(exact.rows),
        n_groups=len(np.unique(exact.groups)),
        n_classes=len(evidence.classes),
        accuracy=share(exact.right, exact.groups),
        balanced_accuracy=mean_recall(exact.truth, exact.said, exact.groups, seed),
        top5=share((first_five == exact.truth[:, None]).any(axis=1), exact.groups),
        sure=sure,
        sure_coverage=sure_coverage,
        ranks=_rank_cards(evidence, taxonomy, spoken, seed),
        pairs=pairs[:MOST_PAIRS],
        mistakes=_mistakes(exact, taxonomy),
        inclusion=inclusion_curve(evidence, everywhere, seed=seed),
        learning=tuple(curve),
        sets=_set_figures(exact, sets, taxonomy, set_coverage, seed) if sets is not None else None,
        novelty=novelty,
        needy=_needy(exact, evidence, pairs),
        sources=_by_source(exact, evidence.sources, seed),
        pooled=_pooled(proving, target_precision),
        thresholds=auto_thresholds(
            [proving.names[c] for c in proving.said],
            proving.confidence,
            proving.right,
            proving.groups,
            target_precision,
        ),
        proof=_proof(proving, target_precision),
        notes=tuple(notes),
    )


def novelty_figures(
    known: NDArray[np.float64], near: NDArray[np.float64], far: NDArray[np.float64], how: str
) -> NoveltyFigures:
    """What scores of novelty are worth, higher for stranger: of known figures, of relatives, and of far things."""

    def measured(novel: NDArray[np.float64]) -> tuple[float, float, float] | tuple[None, None, None]:
        if len(novel) == 0 or len(known) == 0:
            return None, None, None
        return tpr_at(novel, known, 0.01), tpr_at(novel, known, 0.05), auroc(novel, known)

    return NoveltyFigures(how, len(known), len(near), len(far), *measured(near), *measured(far))


def _in_order(evidence: Evidence, sets: Sets | None) -> tuple[Evidence, Sets | None]:
    """The figures in an order that follows from them alone, so that sums and draws do not depend on how they came."""
    order = sorted(
        range(len(evidence)),
        key=lambda row: (
            evidence.groups[row],
            evidence.y[row],
            evidence.sources[row],
            evidence.decision[row].tobytes(),
            evidence.proba[row].tobytes(),
            bool(evidence.checked[row]) if evidence.checked is not None else False,
            sorted(sets[row]) if sets is not None else (),
        ),
    )

    return _take(evidence, order), None if sets is None else [sets[row] for row in order]


def _take(evidence: Evidence, rows: Sequence[int]) -> Evidence:
    """The evidence of these figures, in this order."""

    def put(values: Sequence[str]) -> tuple[str, ...]:
        return tuple(values[row] for row in rows)

    chosen = np.array(rows, dtype=np.int64)
    return replace(
        evidence,
        decision=evidence.decision[chosen],
        proba=evidence.proba[chosen],
        y=put(evidence.y),
        groups=put(evidence.groups),
        sources=put(evidence.sources),
        checked=None if evidence.checked is None else evidence.checked[chosen],
    )


def _exact(evidence: Evidence, taxonomy: Taxonomy) -> _Exact:
    """A truth below a class counts as that class; one above a class is no exact name; any other is wrong everywhere."""
    classes = set(evidence.classes)
    above = {node for qid in evidence.classes for node in taxonomy.lineage(qid)[1:]} - classes
    name_of = {
        qid: next((node for node in taxonomy.lineage(qid) if node in classes), qid) for qid in set(evidence.y) - above
    }
    rows = np.array([row for row, qid in enumerate(evidence.y) if qid in name_of], dtype=np.int64)
    names = (*evidence.classes, *sorted(set(name_of.values()) - classes))
    place = {qid: column for column, qid in enumerate(names)}
    truth = np.array([place[name_of[evidence.y[row]]] for row in rows], dtype=np.int64)
    proba = evidence.proba[rows]
    said = proba.argmax(axis=1) if len(rows) else np.zeros(0, dtype=np.int64)
    groups = numbered([evidence.groups[row] for row in rows])
    return _Exact(rows, names, truth, said, proba.max(axis=1, initial=0.0), said == truth, groups)


def _judged(said: Sequence[str], y: Sequence[str], taxonomy: Taxonomy) -> NDArray[np.int64]:
    """Of each taxon said (n,): 1 right, 0 wrong, -1 the truth is known at a higher rank only."""
    told = {
        (node, qid): 1 if node in taxonomy.lineage(qid) else -1 if taxonomy.is_ancestor(qid, node) else 0
        for node, qid in set(zip(said, y, strict=True))
    }
    return np.array([told[pair] for pair in zip(said, y, strict=True)], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class _Spoken:
    """What a model says aloud (`claims`, one a figure), and the ranks that tell one taxon from another."""

    model: RankModel
    decision: NDArray[np.float64]
    claims: tuple[Claim | None, ...]
    telling: tuple[RankScale, ...]


def _spoken(evidence: Evidence, taxonomy: Taxonomy, ranks: RankModel | None) -> _Spoken:
    """A claim at a rank with a single taxon here tells nothing: such ranks are left out, and so are their claims."""
    decision, model = evidence.decision, ranks
    if model is None:
        decision = np.log(np.maximum(evidence.proba, 1e-12))
        silent = [RankScale(rank, 1.0, None, 0, 0, 0.0, 0.0) for rank in known_ranks(evidence.classes, taxonomy)]
        model = RankModel(evidence.classes, taxonomy, silent)
    telling = tuple(scale for scale in model.scales if len(model.probabilities(decision[:0], scale.rank)[0]) > 1)
    ranks_told = {scale.rank for scale in telling}
    claims = tuple(
        claim if claim is not None and claim.rank in ranks_told else None for claim in model.claims(decision)
    )
    return _Spoken(model, decision, claims, telling)


def _sure(evidence: Evidence, taxonomy: Taxonomy, spoken: _Spoken) -> tuple[Share | None, Share | None]:
    if all(scale.threshold is None for scale in spoken.telling):
        return None, None
    sources = numbered(evidence.groups)
    rows = [row for row, claim in enumerate(spoken.claims) if claim is not None]
    nodes = [claim.node for claim in spoken.claims if claim is not None]
    verdicts = _judged(nodes, [evidence.y[row] for row in rows], taxonomy)
    judged = np.array(rows, dtype=np.int64)[verdicts >= 0]
    said = np.array([claim is not None for claim in spoken.claims], dtype=bool)
    return share(verdicts[verdicts >= 0] == 1, sources[judged]), share(said, sources)


def _rank_cards(evidence: Evidence, taxonomy: Taxonomy, spoken: _Spoken, seed: int) -> tuple[RankCard, ...]:
    sources, cards = numbered(evidence.groups), []
    measured = {row.rank: row for row in measure_ranks(spoken.model, spoken.decision, evidence.y, seed)}
    for scale in spoken.telling:
        ids, proba = spoken.model.probabilities(spoken.decision, scale.rank)
        verdicts = _judged([ids[column] for column in proba.argmax(axis=1)], evidence.y, taxonomy)
        known, right = verdicts >= 0, verdicts == 1
        said = np.array([claim is not None and claim.rank == scale.rank for claim in spoken.claims], dtype=bool)
        bins = reliability_bins(proba[known], right[known], bins=int(min(max(int(known.sum()) // 10, 3), 15)))
        cards.append(
            RankCard(
                figures=measured[scale.rank],
                accuracy=share(right[known], sources[known]),
                coverage=share(said, sources),
                said_right=share(right[known & said], sources[known & said]),
                promised=scale.precision_low if scale.threshold is not None else None,
                bins=tuple(bins),
            )
        )
    return tuple(cards)


def _common_rank(one: str, other: str, taxonomy: Taxonomy) -> str:
    """The lowest reported rank above species that holds both, "" for none."""
    for rank in REPORTED_RANKS[1:]:
        node = taxonomy.at_rank(one, rank)
        if node is not None and node == taxonomy.at_rank(other, rank):
            return rank
    return ""


def _pairs(exact: _Exact, taxonomy: Taxonomy) -> tuple[LookAlike, ...]:
    taken = Counter(
        (exact.names[true], exact.names[said])
        for true, said in zip(exact.truth[~exact.right], exact.said[~exact.right], strict=True)
    )
    support = Counter(exact.names[true] for true in exact.truth)
    found = []
    for one, other in {(min(pair), max(pair)) for pair in taken}:
        a, b = (one, other) if taken[one, other] >= taken[other, one] else (other, one)
        relation = _common_rank(a, b, taxonomy)
        found.append(LookAlike(a, b, taken[a, b], taken[b, a], support[a], support[b], relation))
    return tuple(sorted(found, key=lambda pair: (-pair.a_as_b - pair.b_as_a, pair.a, pair.b)))


def _mistakes(exact: _Exact, taxonomy: Taxonomy) -> Mistakes | None:
    wrong = Counter(
        _common_rank(exact.names[true], exact.names[said], taxonomy)
        for true, said in zip(exact.truth[~exact.right], exact.said[~exact.right], strict=True)
    )
    if not wrong:
        return None
    heights = {rank: height for height, rank in enumerate((*REPORTED_RANKS[1:], ""), start=1)}
    n = wrong.total()
    mean = sum(heights[rank] * count for rank, count in wrong.items()) / n
    return Mistakes(n, {rank: wrong[rank] for rank in heights if wrong[rank]}, mean)


def _set_figures(exact: _Exact, sets: Sets, taxonomy: Taxonomy, promised: float, seed: int) -> SetFigures:
    holds = np.array(
        [
            not set(taxonomy.lineage(exact.names[true])).isdisjoint(sets[row])
            for row, true in zip(exact.rows, exact.truth, strict=True)
        ],
        dtype=bool,
    )
    sizes = np.array([len(set(sets[row])) for row in exact.rows])
    found = np.where(holds, exact.truth, len(exact.names))  # a class of its own for every truth that was missed
    return SetFigures(
        n=len(holds),
        promised=promised,
        coverage=share(holds, exact.groups),
        macro_coverage=mean_recall(exact.truth, found, exact.groups, seed),
        mean_size=float(sizes.mean()),
        at_most_five=float((sizes <= 5).mean()),
    )


def _needy(exact: _Exact, evidence: Evidence, pairs: Sequence[LookAlike]) -> tuple[NeedyClass, ...]:
    """Rarely found ones first, then those with few labels, then those the model meets most.

    One that was not measured counts as never found where it has few labels, else as found half of the time.
    """
    predicted = Counter(exact.names[said] for said in exact.said)
    found = []
    for column, qid in enumerate(evidence.classes):
        own = exact.truth == column
        n, learned = int(own.sum()), evidence.learned.get(qid, 0)
        recall = float(exact.right[own].mean()) if n else None
        reasons = [
            code
            for code, holds in (
                (NOT_MEASURED, n == 0),
                (LOW_RECALL, recall is not None and recall < LOW),
                (FEW_LABELS, learned < FEW),
                (SINGLE_SOURCE, n > 0 and len(np.unique(exact.groups[own])) == 1),
            )
            if holds
        ]
        if not reasons:
            continue
        other, times = _most_taken_for(qid, pairs)
        if times >= 2:
            reasons.append(CONFUSED)
        told = (other, times) if times >= 2 else ("", 0)
        found.append(NeedyClass(qid, learned, n, recall, predicted[qid], tuple(reasons), *told))
    unmeasured = {row.qid: 0.0 if row.learned < FEW else LOW for row in found if row.recall is None}
    found.sort(key=lambda row: (row.recall or unmeasured.get(row.qid, 0.0), row.learned, -row.predicted, row.qid))
    return tuple(found[:MOST_NEEDY])


def _most_taken_for(qid: str, pairs: Sequence[LookAlike]) -> tuple[str, int]:
    taken = [(pair.a_as_b, pair.b) for pair in pairs if pair.a == qid]
    taken += [(pair.b_as_a, pair.a) for pair in pairs if pair.b == qid]
    times, other = max(taken, key=lambda each: (each[0], each[1]), default=(0, ""))
    return other, times


def _by_source(exact: _Exact, sources: Sequence[str], seed: int) -> tuple[SourceFigures, ...]:
    names = np.array([sources[row] for row in exact.rows], dtype=object)
    found = []
    for name in sorted(set(names)):
        own = names == name
        groups = exact.groups[own]
        found.append(
            SourceFigures(
                source=str(name),
                n=int(own.sum()),
                n_groups=len(np.unique(groups)),
                accuracy=share(exact.right[own], groups),
                balanced_accuracy=mean_recall(exact.truth[own], exact.said[own], groups, seed),
            )
        )
    return tuple(sorted(found, key=lambda row: (-row.n, row.source)))


def _proving(evidence: Evidence, taxonomy: Taxonomy) -> _Exact:
    """The figures that thresholds for settling may rest on."""
    return _exact(_take(evidence, np.flatnonzero(evidence.of_checked_holdout()).tolist()), taxonomy)


def _proof(proving: _Exact, target: float) -> Proof:
    return Proof(target, len(proving.rows), len(np.unique(proving.groups)), least_sources(target))


def _pooled(exact: _Exact, target: float) -> tuple[AutoThreshold, ...]:
    targets = sorted({*POOLED_TARGETS, target}, reverse=True)
    return tuple(auto_threshold(exact.confidence, exact.right, exact.groups, each) for each in targets)
