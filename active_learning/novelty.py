"""Knowing what it does not know: is a figure of a known taxon, of a close relative of one, or of nothing it knows?

Six scores, each larger for what is stranger, are weighed by a small logistic regression that is trained on taxa left
out on purpose and on labels later found wrong (after COOD: Hogeweg et al. 2024). No score may ever speak against
novelty, so that a picture stranger than any seen in training is never taken for a known one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from active_learning.calibration import softmax
from active_learning.errors import ArtifactError, NotEnoughDataError
from active_learning.head_base import stored
from active_learning.heads import AnyHead
from active_learning.lda import LDAHead
from active_learning.splitting import grouped_folds
from active_learning.strategies import entropy, knn_distance, margin
from active_learning.taxonomy import Taxonomy, rank_matrix

Floats = NDArray[np.float32]
Scores = NDArray[np.float64]

KNOWN, NEAR, FAR = "known", "near", "far"
SCORES = ("max_logit", "energy", "margin", "knn", "mahalanobis", "genus_entropy")
LEAST = 5  # examples on each side before anything is fitted


class Strangeness:
    """The six scores of a figure, from one head and the vectors it was fitted on."""

    def __init__(self, head: AnyHead, lda: LDAHead, x: Floats, taxonomy: Taxonomy) -> None:
        self.head, self.lda, self.x = head, lda, x
        ids, sums, columns = rank_matrix(head.classes_, taxonomy, "genus")
        # A class without a genus stands for itself, so that probabilities still add up.
        self._sums = np.hstack([sums, np.eye(len(columns))[:, columns < 0]]) if ids else np.eye(len(columns))

    @classmethod
    def fit(cls, head: AnyHead, x: Floats, y: Sequence[str], taxonomy: Taxonomy) -> Strangeness:
        """From a fitted head and the vectors (n, d) and labels (n,) it was fitted on."""
        lda = head if isinstance(head, LDAHead) else LDAHead().fit(x, y)
        return cls(head, lda, np.ascontiguousarray(x, dtype=np.float32), taxonomy)

    def scores(self, x: Floats, temperature: float = 1.0) -> Scores:
        """The scores (n, 6) float64 in the order of `SCORES`, each larger for what is stranger.

        Energy and logits are those of the temperature. Raises as `decision` does.
        """
        values = self.head.decision(x) / temperature
        highest = values.max(axis=1, initial=-np.inf)
        energy = highest + np.log(np.exp(values - highest[:, None]).sum(axis=1))
        proba = softmax(values)
        strange = (
            -highest,
            -energy,
            1.0 - margin(proba),
            knn_distance(x, self.x, 0),
            self.lda.relative_distances(x),
            entropy(proba @ self._sums),
        )
        return np.stack(strange, axis=1)


@dataclass(frozen=True, eq=False)
class NoveltyModel:
    """Weights over the scores, with the thresholds that a chosen share of known figures crosses."""

    centre: Scores  # (6,)
    scale: Scores  # (6,)
    weights: Scores  # (6,) none negative
    bias: float
    known: Scores  # (m,) values of known figures, ascending: where thresholds are read off
    far_weights: Scores  # (6,) of far against near
    far_bias: float
    n_novel: int

    def probability(self, scores: Scores) -> Scores:
        """The probability (n,) that a figure is not what the head takes it for, in the mixture it was trained on."""
        return _logistic(self.value(scores))

    def value(self, scores: Scores) -> Scores:
        """The log odds (n,) behind `probability`: the order without the rounding at 0 and 1."""
        return np.asarray((scores - self.centre) / self.scale @ self.weights + self.bias)

    def threshold(self, false_alarms: float = 0.05) -> float:
        """The value that at most this share of known figures lies above."""
        if not 0.0 < false_alarms < 1.0:
            raise ValueError(f"the share of false alarms must lie between 0 and 1, not {false_alarms}")
        allowed = int(np.floor(false_alarms * (len(self.known) + 1)))
        return float(self.known[-allowed]) if allowed else float(np.inf)

    def verdicts(self, scores: Scores, false_alarms: float = 0.05) -> list[str]:
        """`KNOWN`, `NEAR` (a relative: say its genus or family only) or `FAR` (nothing in the list) for each row."""
        novel = self.value(scores) > self.threshold(false_alarms)
        far = (scores - self.centre) / self.scale @ self.far_weights + self.far_bias > 0
        return [KNOWN if not strange else FAR if beyond else NEAR for strange, beyond in zip(novel, far, strict=True)]

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """All numbers by name, for saving."""
        single = np.array([self.bias, self.far_bias, float(self.n_novel)])
        return {
            "centre": self.centre,
            "scale": self.scale,
            "weights": self.weights,
            "known": self.known,
            "far_weights": self.far_weights,
            "single": single,
        }

    @classmethod
    def restore(cls, tensors: Mapping[str, NDArray[np.generic]]) -> NoveltyModel:
        """The model as it was when `tensors` was called. Raises ArtifactError if something is missing."""
        names = ("centre", "scale", "weights", "known", "far_weights", "single")
        for name in names:
            stored(tensors, name)
        centre, scale, weights, known, far, single = (np.asarray(tensors[name], np.float64) for name in names)
        if any(value.shape != (len(SCORES),) for value in (centre, scale, weights, far)) or single.shape != (3,):
            raise ArtifactError("The stored novelty model is of another form.")
        return cls(centre, scale, weights, float(single[0]), known, far, float(single[1]), int(single[2]))


@dataclass(frozen=True, eq=False)
class NoveltyExamples:
    """Scores of figures that were judged by a head that knew neither them nor, for `near`, their class."""

    known: Scores  # (n, 6) rightly named
    wrong: Scores  # (n, 6) of a known class, wrongly named: just as little to be trusted
    near: Scores  # (n, 6) of a class left out


def leave_classes_out(
    make: Callable[[], AnyHead],
    x: Floats,
    y: Sequence[str],
    groups: Sequence[str],
    taxonomy: Taxonomy,
    folds: int = 5,
    seed: int = 0,
) -> NoveltyExamples:
    """Examples of what is known and what is not, made from labelled figures alone.

    In each round a part of the sources and another part of the classes is left out, a head is fitted to the rest, and
    all that was left out is scored. Each figure is thus once of a class left out, and once known but not seen.

    Raises NotEnoughDataError for fewer than three classes or two sources.
    """
    labels = np.array([str(qid) for qid in y])
    classes = np.unique(labels)
    parts, sources = min(folds, len(classes) - 1), min(folds, len(set(groups)))
    if len(classes) < 3 or sources < 2:
        raise NotEnoughDataError("To learn what is novel, at least three taxa and two sources are needed.")
    class_fold = dict(
        zip(np.random.default_rng(seed).permutation(classes), np.arange(len(classes)) % parts, strict=True)
    )
    of_class = np.array([class_fold[label] for label in labels])
    of_source = grouped_folds(list(groups), sources, seed, list(labels))
    found: dict[str, list[Scores]] = {KNOWN: [], "wrong": [], NEAR: []}
    for number in range(max(parts, sources)):
        absent, unseen = of_class == number % parts, of_source == number % sources
        seen = ~absent & ~unseen
        if len(set(labels[seen])) < 2:
            continue
        head = make().fit(x[seen], labels[seen])
        strangeness = Strangeness.fit(head, x[seen], list(labels[seen]), taxonomy)
        if number < parts:
            found[NEAR].append(strangeness.scores(x[absent]))
        if number < sources:
            tested = unseen & ~absent & np.isin(labels, head.classes_)
            taken = np.array(head.classes_)[head.decision(x[tested]).argmax(axis=1)]
            scores = strangeness.scores(x[tested])
            found[KNOWN].append(scores[taken == labels[tested]])
            found["wrong"].append(scores[taken != labels[tested]])
    none = [np.zeros((0, len(SCORES)))]
    return NoveltyExamples(*(np.concatenate(found[name] + none) for name in (KNOWN, "wrong", NEAR)))


def fit_novelty(examples: NoveltyExamples, far: Scores | None = None) -> NoveltyModel:
    """The weights that best tell known figures from all others; both sides count the same.

    `far` (m, 6) are scores, by a head that did not see them, of figures people found to be no organism or nothing in
    the list. With fewer than five of those, a novel figure counts as far when its nearest neighbours are farther away
    than those of 95 % of the figures of left-out classes.

    Raises NotEnoughDataError with fewer than five known or five other figures.
    """
    beyond = np.zeros((0, len(SCORES))) if far is None else far
    novel = np.concatenate([examples.wrong, examples.near, beyond])
    if len(examples.known) < LEAST or len(novel) < LEAST:
        raise NotEnoughDataError(f"To learn what is novel, {LEAST} known figures and {LEAST} others are needed.")
    everything = np.concatenate([examples.known, novel])
    centre, scale = np.median(everything, axis=0), np.maximum(everything.std(axis=0), 1e-9)
    weights, bias = _fit_logistic((examples.known - centre) / scale, (novel - centre) / scale)
    known = np.sort((examples.known - centre) / scale @ weights + bias)
    far_weights, far_bias = _far_rule(examples.near, beyond, centre, scale)
    return NoveltyModel(centre, scale, weights, bias, known, far_weights, far_bias, len(novel))


def _far_rule(near: Scores, far: Scores, centre: Scores, scale: Scores) -> tuple[Scores, float]:
    if len(far) >= LEAST and len(near) >= LEAST:
        return _fit_logistic((near - centre) / scale, (far - centre) / scale)
    weights = np.zeros(len(SCORES))
    knn = SCORES.index("knn")
    weights[knn] = 1.0
    edge = np.quantile(near[:, knn], 0.95) if len(near) else np.inf
    return weights, -float((edge - centre[knn]) / scale[knn])


def _logistic(values: Scores) -> Scores:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -500, 500))))


def _fit_logistic(negative: Scores, positive: Scores, l2: float = 1e-2, rounds: int = 3000) -> tuple[Scores, float]:
    """Weights (6,), none negative, and bias of a logistic regression in which both sides weigh one half.

    Projected gradient with Nesterov's momentum; the step is one over the largest curvature, so it always converges.
    """
    rows = np.hstack([np.concatenate([negative, positive]), np.ones((len(negative) + len(positive), 1))])
    truth = np.concatenate([np.zeros(len(negative)), np.ones(len(positive))])
    share = np.concatenate([np.full(len(negative), 0.5 / len(negative)), np.full(len(positive), 0.5 / len(positive))])
    penalty = np.append(np.full(negative.shape[1], l2), 0.0)
    curvature = 0.25 * float(np.linalg.eigvalsh((rows * share[:, None]).T @ rows).max()) + l2
    solution = ahead = np.zeros(rows.shape[1])
    pace = 1.0
    for _ in range(rounds):
        gradient = rows.T @ (share * (_logistic(rows @ ahead) - truth)) + penalty * ahead
        stepped = ahead - gradient / curvature
        stepped[:-1] = np.maximum(stepped[:-1], 0.0)
        faster = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        ahead = stepped + (pace - 1) / faster * (stepped - solution)
        solution, pace = stepped, faster
    return solution[:-1], float(solution[-1])


def auroc(novel: Scores, known: Scores) -> float:
    """The chance that a novel figure scores higher than a known one, ties half; 0.5 where a side is empty."""
    if len(novel) == 0 or len(known) == 0:
        return 0.5
    ordered = np.sort(known)
    below, upto = np.searchsorted(ordered, novel, "left"), np.searchsorted(ordered, novel, "right")
    return float((below + upto).mean() / (2 * len(known)))


def tpr_at(novel: Scores, known: Scores, false_alarms: float) -> float:
    """The share of novel figures above the value that at most this share of known ones lies above; 0 without any."""
    if len(novel) == 0 or len(known) == 0:
        return 0.0
    allowed = int(np.floor(false_alarms * len(known)))
    ordered = np.sort(known)[::-1]
    return float((novel > ordered[min(allowed, len(known) - 1)]).mean())
