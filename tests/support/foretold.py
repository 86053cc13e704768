"""A model that says what a test wants: predictions as a version publishes them, without training one."""

from collections.abc import Mapping, Sequence

from icones.clock import utc_now
from icones.db import Database
from icones.learning import service as learning
from icones.models import Campaign, ModelState, ModelVersion, Prediction
from icones.taxa import queries as taxa

Ranked = Sequence[tuple[str, float]]


def foretold(database: Database, campaign: Campaign, said: Mapping[int, Ranked]) -> int:
    """Let a model version serve that says these ranked names of these figures; return its id."""
    now = utc_now()
    with database.writing() as session:
        version = ModelVersion(
            campaign_id=campaign.id or 0,
            number=1,
            backbone="classical 1",
            folder="models/none",
            snapshot_hash="0" * 64,
            snapshot={"labels": []},
            seed=1,
            created_at=now,
        )
        learning.record_version(session, campaign, version, ModelState.CHAMPION, "Made for a test.", now)
        lines = taxa.lineages(session, {ranked[0][0] for ranked in said.values()})
        for figure, ranked in said.items():
            best, chance = ranked[0]
            session.add(
                Prediction(
                    model_version_id=version.id or 0,
                    figure_id=figure,
                    ranked=[{"qid": qid, "p": p} for qid, p in ranked],
                    lineage=[{"qid": qid, "p": chance} for qid in lines[best][1:]],
                    margin=0.5,
                    entropy=0.2,
                    reason="likely",
                    created_at=now,
                )
            )
    return version.id or 0
