"""The figures of a report, checked against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from active_learning import Taxonomy, measure

CLASSES = ("ant", "bug", "cat")
PROBA = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.2, 0.7], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
TRUTH = ["ant", "ant", "cat", "bug", "cat"]
GROUPS = ["g1", "g2", "g3", "g4", "g5"]


def test_counts_made_by_hand_are_found_again(taxonomy: Taxonomy) -> None:
    report = measure(PROBA, TRUTH, CLASSES, GROUPS, taxonomy, "holdout")
    assert report.accuracy == pytest.approx(3 / 5)
    assert report.balanced_accuracy == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert report.top5 == 1.0
    assert report.accuracy_by_rank == {"species": pytest.approx(3 / 5), "genus": 1.0, "family": 1.0}
    assert report.nll == pytest.approx(-np.log([0.8, 0.3, 0.7, 0.4, 0.6]).mean())
    assert report.brier == pytest.approx(((PROBA - np.eye(3)[[0, 0, 2, 1, 2]]) ** 2).sum(axis=1).mean())
    assert report.confusion.matrix().tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 2]]
    ant, bug, cat = report.per_class
    assert (ant.precision, ant.recall, ant.support) == (0.5, 0.5, 2)
    assert (bug.precision, bug.recall, bug.f1, bug.support) == (0.0, 0.0, 0.0, 1)
    assert (cat.precision, cat.recall, cat.f1, cat.support) == (1.0, 1.0, 1.0, 2)
    low, high = report.accuracy_interval
    assert low <= report.accuracy <= high


def test_a_taxon_the_model_never_met_counts_as_wrong_and_is_noted(taxonomy: Taxonomy) -> None:
    report = measure(PROBA, [*TRUTH[:4], "dog"], CLASSES, GROUPS, taxonomy, "holdout")
    assert report.accuracy == pytest.approx(2 / 5)
    assert report.accuracy_by_rank["genus"] == 1.0  # cat for dog is still the right genus
    assert any("1 figures are of taxa the model does not know" in note for note in report.notes)
    assert report.confusion.classes == ("ant", "bug", "cat", "dog")


def test_no_figures_give_a_report_on_nothing(taxonomy: Taxonomy) -> None:
    report = measure(np.zeros((0, 3)), [], CLASSES, [], taxonomy, "holdout", notes=["because"])
    assert (report.measured_on, report.n, report.notes) == ("nothing", 0, ("because",))


def test_figures_of_one_source_make_the_interval_wider(taxonomy: Taxonomy) -> None:
    many = np.tile(PROBA, (20, 1))
    apart = measure(many, TRUTH * 20, CLASSES, [str(n) for n in range(100)], taxonomy, "holdout")
    together = measure(many, TRUTH * 20, CLASSES, GROUPS * 20, taxonomy, "holdout")
    width = [report.accuracy_interval[1] - report.accuracy_interval[0] for report in (apart, together)]
    assert width[1] > 2 * width[0]
