"""Two workers write while answers get lost, others edit and the workers are killed: nothing lost, nothing said twice.

The short form of `benchmarks/fault_run.py`, which says more about it.
"""

from pathlib import Path

import pytest

from icones.config import Settings
from icones.db import Database
from tests.support.fault_run import FaultRun, Shape


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_is_lost_and_nothing_is_said_twice(settings: Settings, database: Database, tmp_path: Path) -> None:
    report = FaultRun(settings, database, tmp_path, Shape.small(1)).carry_out()
    assert report.findings.problems == []
    assert report.left == 0
    # The run was one: workers were killed, writes failed, others edited, and much was written all the same.
    assert report.kills.total() == report.shape.kills
    assert sum(report.faults.values()) >= 10
    assert sum(report.others.values()) >= 20
    assert report.states["add: done"] >= 20
