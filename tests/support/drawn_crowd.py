"""A crowd drawn by chance, whose errors are not those that our model of a crowd assumes.

People confuse what looks alike (a matrix of similarities, given) or any few other species, not what stands near by in
the tree; figures differ in how hard they are for everybody; skill differs from clade to clade; some answer anything,
some always one of a few species; some repeat what is on the screen when they do not know, some always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from active_learning import Taxonomy, Vote
from active_learning.calibration import softmax

CLADES = 6
LONGEST = 10
"""No figure is asked about more often than this."""


@dataclass(frozen=True)
class Species:
    """The species in play, the tree above them, and how often one is taken for another (k, k; rows sum to 1)."""

    names: tuple[str, ...]
    taxonomy: Taxonomy
    taken_for: NDArray[np.float64]

    def genus(self, number: int) -> str:
        """The genus of a species by its number."""
        return self.taxonomy.lineage(self.names[number])[1]


@dataclass(frozen=True)
class Drawn:
    """Figures with their truth, the model's probabilities, and up to ten answers of each, blind and with a suggestion.

    Answers are by number: below k a species, from k on the genus of species number minus k.
    """

    species: Species
    truth: NDArray[np.int64]
    proba: NDArray[np.float64]
    people: NDArray[np.int64]  # (n, 10) who is asked first, second ...
    blind: NDArray[np.int64]  # (n, 10) what they say without a suggestion
    shown: NDArray[np.int64]  # (n, 10) and with one

    def vote(self, figure: int, turn: int, blind: bool) -> Vote:
        """The answer that a figure gets at a turn."""
        said = int((self.blind if blind else self.shown)[figure, turn])
        k = len(self.species.names)
        node = self.species.names[said] if said < k else self.species.genus(said - k)
        suggestion = () if blind else (self.species.names[int(self.proba[figure].argmax())],)
        return Vote(figure, int(self.people[figure, turn]), node, suggestion)

    def prior(self, figure: int) -> dict[str, float]:
        """The model's likeliest ten."""
        best = np.argsort(-self.proba[figure], kind="stable")[:10]
        return {self.species.names[row]: float(self.proba[figure, row]) for row in best}


def tree_of(names: Sequence[str]) -> Taxonomy:
    """Species in genera (the first word of their names) in one class."""
    parents: dict[str, str | None] = {name: name.split(" ")[0] for name in names}
    parents |= {name.split(" ")[0]: "all" for name in names}
    ranks = {node: "species" if " " in node else "genus" for node in parents}
    return Taxonomy({**parents, "all": None}, {**ranks, "all": "class"})


def alike(names: Sequence[str], similarity: NDArray[np.float64], sharpness: float = 12.0) -> Species:
    """Species that are confused as their similarity (k, k) says, whatever their names."""
    weight = np.exp(sharpness * (similarity - similarity.max(initial=0.0)))
    np.fill_diagonal(weight, 0.0)
    return Species(tuple(names), tree_of(names), weight / weight.sum(axis=1, keepdims=True))


def at_random(names: Sequence[str], seed: int) -> Species:
    """Species that are each taken for three others by chance, nine times of ten."""
    rng = np.random.default_rng(seed)
    k = len(names)
    weight = np.full((k, k), 0.1 / (k - 1))
    for row in range(k):
        others = rng.choice(np.delete(np.arange(k), row), 3, replace=False)
        weight[row, others] += (0.45, 0.27, 0.18)
    np.fill_diagonal(weight, 0.0)
    return Species(tuple(names), tree_of(names), weight / weight.sum(axis=1, keepdims=True))


def draw(species: Species, n: int, n_people: int, seed: int) -> Drawn:
    """n figures of species in a long tail, and what 10 of n_people say of each."""
    rng = np.random.default_rng(seed)
    k = len(species.names)
    tail = 1.0 / np.arange(3, k + 3)
    often = rng.permutation(tail / tail.sum())
    truth = rng.choice(k, n, p=often)
    proba = _model(species, truth, often, rng)
    activity = rng.pareto(1.5, n_people) + 0.3
    draw_people = np.argsort(-(np.log(activity) + rng.gumbel(size=(n, n_people))), axis=1)
    people = draw_people[:, :LONGEST]
    blind, shown = _answers(species, truth, proba.argmax(axis=1), people, n_people, rng)
    return Drawn(species, truth, proba, people, blind, shown)


def _model(
    species: Species, truth: NDArray[np.int64], often: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Probabilities of a calibrated model that is right on about half of the figures and errs as people do.

    It sees each figure as a point drawn around its species, which lies nearer to those that look alike; what it says is
    what follows from the point, so it is as sure as it is right.
    """
    k = len(often)
    centre = 2.4 * np.eye(k) + 0.9 * species.taken_for / species.taken_for.max(axis=1)[:, None]
    point = centre[truth] + rng.normal(size=(len(truth), k))
    return softmax(point @ centre.T - 0.5 * (centre**2).sum(axis=1) + np.log(often))


def _answers(
    species: Species,
    truth: NDArray[np.int64],
    suggested: NDArray[np.int64],
    people: NDArray[np.int64],
    n_people: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    k = len(species.names)
    kind = rng.choice(4, n_people, p=[0.60, 0.30, 0.06, 0.04])  # novices, those who know, two kinds of spammers
    genera = sorted({species.genus(row) for row in range(k)})
    of_genus = dict(zip(genera, rng.integers(0, CLADES, len(genera)), strict=True))
    clade = np.array([of_genus[species.genus(row)] for row in range(k)])
    base = np.array([0.3, 2.6, -99.0, -99.0])[kind] + rng.normal(0, 0.6, n_people)
    skill = base[:, None] + rng.normal(0, 0.9, (n_people, CLADES))
    hard = rng.normal(0, 0.8, len(truth))
    knows = rng.random(people.shape) < 1 / (1 + np.exp(hard[:, None] - skill[people, clade[truth][:, None]]))
    said = np.empty(people.shape, dtype=np.int64)
    favourites = rng.integers(0, k, (n_people, 3))
    for row, true in enumerate(truth):
        said[row] = rng.choice(k, people.shape[1], p=species.taken_for[true])
    coarse = rng.random(people.shape) < 0.15
    said = np.where(coarse, said + k, said)
    said = np.where(kind[people] == 2, rng.integers(0, k, people.shape), said)
    said = np.where(kind[people] == 3, favourites[people, rng.integers(0, 3, people.shape)], said)
    blind = np.where(knows, truth[:, None], said)
    leans = rng.beta(2, 2, n_people)  # how often one who does not know repeats the suggestion
    always = np.where(rng.random(n_people) < 0.05, 0.95, 0.05)
    repeats = (~knows & (rng.random(people.shape) < leans[people])) | (rng.random(people.shape) < always[people])
    return blind, np.where(repeats, suggested[:, None], blind)
