"""Second looks: what volunteers agree on, but those who know the group or the model doubt, is asked once more.

One question in twenty is of this kind (``active_learning.ask``). Such a figure waits for a specialist, too; its task
goes back to the specialists alone as soon as somebody has looked, or when the doubt is gone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from active_learning import Taxonomy, doubtful_labels
from icones.identifications import crowd
from icones.identifications import service as identifications
from icones.identifications.consensus import Lineages
from icones.identifications.service import LOOK_AGAIN
from icones.models import Campaign
from icones.review import order_queries as queries
from icones.review.order_queries import Placed
from icones.taxa import queries as taxa
from icones.taxa import service as taxon_service

MOST = 2
"""So many more people than agreement asks for are asked at most: after that, it is left to a specialist."""


@dataclass(frozen=True)
class Agreed:
    """What volunteers agree on, and which of it the votes make doubtful when it is known who is right how often."""

    names: Mapping[int, str]
    """The taxon by figure."""
    lineages: Lineages
    """Of these taxa."""
    doubted: frozenset[int]

    def deserving(
        self, ids: NDArray[np.int64], probas: Iterable[NDArray[np.floating]], classes: Sequence[str], taxonomy: Taxonomy
    ) -> NDArray[np.bool_]:
        """Return which of these figures, shape (n,), deserve a second look.

        ``probas`` are what the model says of them, in blocks of rows (m, k). It is at odds with a name if it is sure of
        a class that neither holds it nor lies within it. It may have learned from the name: who is sure of another
        one even so is heard all the more.
        """
        found = np.array([int(key) in self.doubted for key in ids], dtype=bool)
        start = 0
        for proba in probas:
            rows = [row for row, key in enumerate(ids[start : start + len(proba)]) if int(key) in self.names]
            if rows:
                part = np.asarray(proba[rows], dtype=np.float64)
                best = part.argmax(axis=1)
                fits = [
                    self._fits(self.names[int(ids[start + row])], classes[one], taxonomy)
                    for row, one in zip(rows, best, strict=True)
                ]
                found[start + np.array(rows)] |= doubtful_labels(part, np.where(fits, best, -1))
            start += len(proba)
        return found

    def _fits(self, name: str, guess: str, taxonomy: Taxonomy) -> bool:
        return guess in self.lineages.get(name, (name,)) or name in taxonomy.lineage(guess)


def agreed(session: Session, campaign: Campaign) -> Agreed:
    """Return what volunteers agree on in a campaign and a specialist has not looked at, as far as it may be asked."""
    key = campaign.id or 0
    rows = queries.agreed(session, key, campaign.quorum + MOST)
    called = taxon_service.current(session, set(rows.values()))
    names = {figure_id: called[qid] for figure_id, qid in rows.items()}
    return Agreed(
        names, taxa.lineages(session, set(names.values())), frozenset(crowd.doubtful(session, key) & set(names))
    )


def put_in_order(session: Session, campaign: Campaign, placed: Sequence[Placed], now: datetime) -> None:
    """Give the questions their places: new ones, and second looks; those that are doubted no more go back."""
    again = [one for one in placed if one.reason == LOOK_AGAIN]
    queries.place(session, [one for one in placed if one.reason != LOOK_AGAIN], now)
    ended = queries.end_second_looks(session, campaign.id or 0, {one.figure_id for one in again}, now)
    identifications.recompute(session, campaign, ended, now)
    queries.place_again(session, again, now)
