"""What a model was trained on is a row a label: only who asks for it reads it, and no page of the daily work does."""

import re
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import InvalidRequestError
from sqlmodel import select
from starlette.testclient import TestClient

from active_learning import Report
from icones.db import Database
from icones.exports import queries as exports
from icones.learning import queries
from icones.models import Campaign, ModelVersion, Role
from icones.worker import retrain_is_due
from tests.support.campaigns import ADMIRAL, figure_ids
from tests.support.foretold import foretold

WHOLE = re.compile(r"(?<!\()modelversion\.snapshot\b")
"""The column itself, and not something that the database reads off it."""
SNAPSHOT = {"labels": [{"figure": 1, "taxon": ADMIRAL, "group": "a", "source": "a whole"}] * 3}


@pytest.fixture
def serving(database: Database, campaign: Campaign) -> int:
    """The id of a serving version that learned from three labels and says something of every figure."""
    version_id = foretold(database, campaign, {figure: [(ADMIRAL, 0.9)] for figure in figure_ids(database, campaign)})
    with database.writing() as session:
        version = session.get_one(ModelVersion, version_id)
        version.snapshot, version.report = SNAPSHOT, Report("nothing").to_dict()
        session.get_one(Campaign, campaign.id).retrain_after = 1
    return version_id


@pytest.fixture
def whole_reads() -> Iterator[list[str]]:
    """The questions, by any application or job, whose answer holds a whole snapshot."""
    found: list[str] = []

    def look(*args: object) -> None:
        if WHOLE.search(str(args[2])):
            found.append(str(args[2]))

    sa.event.listen(sa.Engine, "before_cursor_execute", look)
    yield found
    sa.event.remove(sa.Engine, "before_cursor_execute", look)


def test_a_version_comes_without_it_unless_asked_for(
    database: Database, campaign: Campaign, serving: int, whole_reads: list[str]
) -> None:
    key, figures = campaign.id or 0, figure_ids(database, campaign)
    with database.reading() as session:
        champion, said = queries.champion(session, key), queries.prediction(session, figures[0])
        assert champion is not None
        assert said is not None
        assert said[1] is champion is queries.versions(session, key)[0]
        assert exports.champion_predictions(session, figures)[figures[1]][1] is champion
        assert queries.predictions_by_version(session, figures)[figures[1]][0][1] is champion
        assert queries.has_champion(session, key)
        assert not queries.has_champion(session, key + 1)
        assert queries.n_labels(session, key) == {1: 3}
        assert queries.newest_version_at(session, key) == champion.created_at
        assert not retrain_is_due(session, session.get_one(Campaign, key))
        with pytest.raises(InvalidRequestError, match="snapshot"):
            _ = champion.snapshot
        assert whole_reads == []
        assert queries.snapshot_of(session, serving) == SNAPSHOT
        whole = queries.version(session, key, 1)
        assert whole is champion
        assert whole.snapshot == SNAPSHOT
    assert len(whole_reads) == 2


def test_what_was_changed_without_it_is_kept_with_it(database: Database, campaign: Campaign, serving: int) -> None:
    with database.writing() as session:
        champion = queries.champion(session, campaign.id or 0)
        assert champion is not None
        champion.verdict = "Still the best."
        session.add(champion)
    with database.reading() as session:
        row = session.exec(select(ModelVersion)).one()
    assert (row.verdict, row.snapshot) == ("Still the best.", SNAPSHOT)


def test_no_page_of_the_daily_work_reads_it(
    database: Database,
    campaign: Campaign,
    serving: int,
    client_of: Callable[..., TestClient],
    whole_reads: list[str],
) -> None:
    client, figure = client_of(Role.CURATOR), figure_ids(database, campaign)[0]
    here, api = "/c/butterflies", "/api/v1/campaigns/butterflies"
    for path in (
        here,
        f"{here}/tag",
        f"{here}/f/{figure}",
        f"{here}/curate",
        f"{here}/models",
        f"{api}/models",
        f"/api/v1/figures/{figure}",
    ):
        assert client.get(path).status_code == 200, path
    assert whole_reads == []
    assert client.get(f"{here}/models/1/snapshot.json").json()["labels"] == SNAPSHOT["labels"]
    assert whole_reads != []
