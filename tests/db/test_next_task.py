"""The next task of a volunteer: which one it is, and that it is read off an index however many wait."""

import random
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import select

from icones.clock import utc_now
from icones.db import Database
from icones.models import Audience, Campaign, Figure, Identification, Person, Queue, ReviewTask, Skip
from icones.review import queries
from tests.support.campaigns import ADMIRAL, figure_ids
from tests.support.voices import says, somebody

NOW = utc_now()
LAST_WEEK = NOW - timedelta(days=7)


def stir(database: Database, anna: Person, seed: int) -> int | None:
    """Put tasks in a new order, pass some over, remove a figure; return one that is not to be offered."""
    dice = random.Random(seed)
    with database.writing() as session:
        tasks = session.exec(select(ReviewTask)).all()
        session.exec(sa.delete(Skip))
        for task in tasks:
            task.queue = dice.choice([Queue.VOLUNTEER] * 4 + [Queue.SPECIALIST])
            task.priority = dice.choice([0.2, 0.5, 0.5, 0.7, 1.5])
            task.suits = dice.choice(list(Audience))
            session.get_one(Figure, task.figure_id).removed_at = NOW if dice.random() < 0.1 else None
            if dice.random() < 0.2:
                days = dice.choice([1, 20])
                session.add(Skip(figure_id=task.figure_id, person_id=anna.id or 0, at=NOW - timedelta(days=days)))
    return dice.choice([None, *(task.figure_id for task in tasks)])


def expected(database: Database, person_id: int, leave: int | None, close: int) -> int | None:
    """The same by looking at each task: specialists' last, then by priority (tenths here), by whom it suits, by id."""
    with database.reading() as session:
        tasks = session.exec(select(ReviewTask)).all()
        said = session.exec(select(Identification).where(Identification.person_id == person_id)).all()
        skips = session.exec(select(Skip).where(Skip.person_id == person_id, Skip.at > LAST_WEEK)).all()
        away = {leave, *(one.figure_id for one in said), *(one.figure_id for one in skips)}
        away |= {one.id for one in session.exec(select(Figure)) if one.removed_at is not None}
    open_ones = [task for task in tasks if task.queue is Queue.VOLUNTEER and task.figure_id not in away]
    open_ones.sort(key=lambda task: (task.suits is Audience.SPECIALIST, -task.priority, task.figure_id))
    near = sorted(
        open_ones[:close],
        key=lambda task: (
            task.suits is Audience.SPECIALIST,
            -task.priority,
            task.suits is Audience.KNOWING,
            task.figure_id,
        ),
    )
    return near[0].figure_id if near else None


@pytest.mark.parametrize("close", [2, 40])
def test_it_is_the_foremost_of_all_that_waits(
    database: Database, campaign: Campaign, monkeypatch: pytest.MonkeyPatch, close: int
) -> None:
    anna, ben = (somebody(database, campaign, name) for name in ("Anna", "Ben"))
    for figure in figure_ids(database, campaign)[:3]:
        says(database, anna, figure, ADMIRAL)
    says(database, ben, figure_ids(database, campaign)[4], ADMIRAL)
    monkeypatch.setattr(queries, "CLOSE", close)
    found, due = [], []
    for seed in range(12):
        leave = stir(database, anna, seed)
        with database.reading() as session:
            for person in (anna, ben):
                found.append(queries.next_for(session, campaign.id or 0, person.id, LAST_WEEK, leave))
                due.append(expected(database, person.id or 0, leave, close))
    assert found == due
    assert len(set(found)) > 5


def test_nothing_is_sorted_that_an_index_has_in_order(database: Database, campaign: Campaign) -> None:
    asked: list[tuple[str, Any]] = []

    @sa.event.listens_for(database.engine, "before_cursor_execute")
    def note(_1: object, _2: object, statement: str, values: Any, *_: object) -> None:
        asked.append((statement, values))

    with database.reading() as session:
        queries.next_for(session, campaign.id or 0, 1, LAST_WEEK, None)
    sa.event.remove(database.engine, "before_cursor_execute", note)
    statement, values = next(one for one in asked if "reviewtask" in one[0])
    with database.engine.connect() as connection:
        if not database.is_sqlite:
            for plain in ("enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_incremental_sort"):
                connection.exec_driver_sql(f"SET {plain} = off")  # so few rows are not worth an index
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, values))
    assert plan.count("ix_reviewtask_next") == len(Audience)
    assert plan.count("TEMP B-TREE") <= 2  # of the few that are put together
