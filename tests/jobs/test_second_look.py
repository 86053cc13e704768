"""Second looks: what people agree on and is doubted is asked once more, with its reason, until somebody has looked."""

import numpy as np
import pytest

from active_learning import Taxonomy
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import service as identifications
from icones.models import Campaign, CrowdOpinion, JobKind, Queue, ReviewTask
from icones.review import queries
from icones.review.second_look import Agreed
from tests.support.campaigns import ADMIRAL, GENUS, LADY, WHITE
from tests.support.voices import carried_out, says, somebody, verified


@pytest.fixture
def figure(settings: Settings, database: Database, campaign: Campaign) -> int:
    """A figure that two people call what it was drawn as, in a campaign with a serving model."""
    figures = verified(database, campaign, range(9))
    assert carried_out(settings, database, campaign, JobKind.RETRAIN).result["published"]
    for name in ("Ann", "Ben"):
        says(database, somebody(database, campaign, name), figures[9], ADMIRAL)
    return figures[9]


def weigh(database: Database, campaign: Campaign, figure: int, **labels: float) -> None:
    """Let the votes on a figure amount to these shares of belief."""
    with database.writing() as session:
        session.merge(
            CrowdOpinion(
                figure_id=figure, campaign_id=campaign.id or 0, belief=0.9, retires=True, labels=labels, weight=1.0,
                at=utc_now(),
            )
        )  # fmt: skip
        own = session.get_one(Campaign, campaign.id)
        identifications.recompute(session, own, [figure], utc_now())


def place_of(database: Database, figure: int) -> tuple[Queue, str]:
    with database.reading() as session:
        task = session.get_one(ReviewTask, figure)
    return task.queue, task.reason


def for_specialists(database: Database, campaign: Campaign) -> list[int]:
    with database.reading() as session:
        rows, _ = queries.for_specialists(session, campaign.id or 0, [], 0, 20)
    return [task.figure_id for task, _, _, _ in rows]


def test_a_doubted_name_is_asked_of_volunteers_too_until_one_has_looked(
    settings: Settings, database: Database, campaign: Campaign, figure: int
) -> None:
    assert place_of(database, figure) == (Queue.SPECIALIST, "confirm")
    weigh(database, campaign, figure, **{LADY: 0.9, ADMIRAL: 0.1})
    assert place_of(database, figure) == (Queue.SPECIALIST, "doubtful")
    carried_out(settings, database, campaign, JobKind.PREDICT)
    assert place_of(database, figure) == (Queue.VOLUNTEER, "look_again")
    assert for_specialists(database, campaign)[0] == figure  # they see it all the same, and first
    weigh(database, campaign, figure, **{LADY: 0.8, ADMIRAL: 0.2})
    carried_out(settings, database, campaign, JobKind.PREDICT)
    assert place_of(database, figure) == (Queue.VOLUNTEER, "look_again")
    third = somebody(database, campaign, "Cleo")
    with database.reading() as session:
        waiting = queries.n_waiting_for(session, [campaign.id or 0], third.id, utc_now())
    assert waiting == {campaign.id: 3}  # with two that nobody has named
    says(database, third, figure, ADMIRAL)
    assert place_of(database, figure) == (Queue.SPECIALIST, "confirm")


def test_a_second_look_ends_with_the_doubt_and_after_a_few_people(
    settings: Settings, database: Database, campaign: Campaign, figure: int
) -> None:
    for labels, place in (
        ({LADY: 0.9, ADMIRAL: 0.1}, (Queue.VOLUNTEER, "look_again")),
        ({ADMIRAL: 0.95, LADY: 0.05}, (Queue.SPECIALIST, "confirm")),
        ({LADY: 0.9, ADMIRAL: 0.1}, (Queue.VOLUNTEER, "look_again")),
    ):
        weigh(database, campaign, figure, **labels)
        carried_out(settings, database, campaign, JobKind.PREDICT)
        assert place_of(database, figure) == place
    for name in ("Cleo", "Dora"):
        says(database, somebody(database, campaign, name), figure, ADMIRAL)
    weigh(database, campaign, figure, **{LADY: 0.9, ADMIRAL: 0.1})
    carried_out(settings, database, campaign, JobKind.PREDICT)
    assert place_of(database, figure) == (Queue.SPECIALIST, "doubtful")  # four have spoken: a specialist decides


def test_the_model_is_at_odds_only_with_what_cannot_be_true_beside_its_own_word() -> None:
    parents = {ADMIRAL: GENUS, LADY: GENUS, WHITE: None, GENUS: None}
    taxonomy = Taxonomy(parents, {})
    sure = np.array([[0.95, 0.03, 0.02]] * 4 + [[0.7, 0.2, 0.1], [0.95, 0.03, 0.02]])
    names = {1: ADMIRAL, 2: LADY, 3: GENUS, 4: WHITE, 5: WHITE}
    lineages = {ADMIRAL: (ADMIRAL, GENUS), LADY: (LADY, GENUS), GENUS: (GENUS,), WHITE: (WHITE,)}
    ids = np.array([1, 2, 3, 4, 5, 6])
    found = Agreed(names, lineages, frozenset()).deserving(ids, [sure[:2], sure[2:]], [ADMIRAL, LADY, WHITE], taxonomy)
    assert ids[found].tolist() == [2, 4]
    by_votes = Agreed(names, lineages, frozenset({1})).deserving(ids, [sure], [ADMIRAL, LADY, WHITE], taxonomy)
    assert ids[by_votes].tolist() == [1, 2, 4]
