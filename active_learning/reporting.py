"""The card of a freshly trained model: everything its report page shows, from the evidence that training left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from active_learning.card_making import make_card
from active_learning.curves import CurvePoint, learning_curve
from active_learning.judging import ALPHA
from active_learning.model import TrainedModel
from active_learning.ranks import RankModel
from active_learning.taxonomy import Taxonomy
from active_learning.training_set import TrainingSet, split_holdout
from active_learning.validation import new_head, part_of

CURVE_WORK = 1.5e8  # figures x taxa x vector length of the largest fit of the learning curve
CURVE_STEPS = 5


def with_card(
    model: TrainedModel, data: TrainingSet, taxonomy: Taxonomy, target_precision: float = 0.99
) -> TrainedModel:
    """The same model with its card, from what `train` left in `evidence` and `holdout` and the figures it learned from.

    A model of which nothing could be measured comes back as it was.
    """
    evidence = model.evidence
    if evidence is None or len(evidence) == 0:
        return model
    sets = None
    if model.conformal is not None:
        members = model.conformal.sets(evidence.proba, ALPHA)
        sets = [[model.classes[leaf] for leaf in np.flatnonzero(row)] for row in members]
    card = make_card(
        evidence,
        taxonomy,
        ranks=RankModel(model.classes, taxonomy, model.scales) if model.scales else None,
        sets=sets,
        novelty=model.novelty_figures,
        curve=_curve(model, data),
        holdout=model.holdout,
        target_precision=target_precision,
        set_coverage=1.0 - ALPHA,
        notes=model.report.notes,
        seed=model.config.seed,
    )
    return replace(model, card=card.to_dict())


def _curve(model: TrainedModel, data: TrainingSet) -> tuple[CurvePoint, ...]:
    """Fitted anew on parts of what was learned from; on a part of it all where that would take minutes."""
    learned = data.take(split_holdout(data, model.config).learned)
    exact = learned.take([row for row, qid in enumerate(learned.y) if qid in set(model.classes)])
    size = int(CURVE_WORK / (len(model.classes) * max(data.x.shape[1], 1)))
    part = exact.take(part_of(exact, max(size, 200)))
    return learning_curve(
        part.x,
        part.y,
        part.groups,
        lambda x, y: new_head(model.chosen, model.config, quick=True).fit(x, y),
        steps=CURVE_STEPS,
        seed=model.config.seed,
    )
