"""A model that says what a test wants: predictions as a version publishes them, without training one."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session

from icones.clock import utc_now
from icones.db import Database
from icones.learning import service as learning
from icones.models import Campaign, ModelState, ModelVersion, Prediction
from icones.taxa import queries as taxa

Ranked = Sequence[tuple[str, float]]


def recorded(
    session: Session, campaign: Campaign, state: ModelState = ModelState.CHAMPION, why: str = "", **told: Any
) -> ModelVersion:
    """Keep the first model version of a campaign, in this state; ``told`` are its columns where a test minds them."""
    columns: dict[str, Any] = {
        "backbone": "classical 1",
        "folder": "models/none",
        "snapshot_hash": "0" * 64,
        "seed": 1,
    } | told
    version = ModelVersion(campaign_id=campaign.id or 0, number=1, created_at=utc_now(), **columns)
    own = session.get_one(Campaign, campaign.id)
    return learning.record_version(session, own, version, state, why or "Made for a test.", utc_now())


def foretold(database: Database, campaign: Campaign, said: Mapping[int, Ranked]) -> int:
    """Let a model version serve that says these ranked names of these figures; return its id."""
    now = utc_now()
    with database.writing() as session:
        version = recorded(session, campaign, snapshot={"labels": []})
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
