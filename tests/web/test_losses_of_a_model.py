"""The report on a model tells every taxon that loses figures, kept back for it or not."""

from collections.abc import Callable

from starlette.testclient import TestClient

from active_learning import Report
from icones.db import Database
from icones.models import Campaign, ModelState
from tests.support.campaigns import ADMIRAL, LADY, WHITE
from tests.support.foretold import recorded

VERDICT = {
    "publish": False, "reason": "", "n": 90, "n_groups": 90, "challenger_accuracy": 0.913, "champion_accuracy": 0.87,
    "challenger_balanced_accuracy": 0.9, "champion_balanced_accuracy": 0.85, "gain": 0.05, "gain_low": 0.01,
    "gain_high": 0.09, "new_classes": [], "gone_classes": [WHITE], "worse_classes": [LADY], "flips": 0.011,
    "losses": [
        {"qid": LADY, "n": 7, "before": 6, "now": 0, "is_too_much": True},
        {"qid": ADMIRAL, "n": 31, "before": 29, "now": 28, "is_too_much": False},
    ],
    "flips_back": 0.054, "ece_change": None,
}  # fmt: skip


def test_every_taxon_that_loses_figures_is_told(
    database: Database, campaign: Campaign, client_of: Callable[..., TestClient]
) -> None:
    with database.writing() as session:
        report = Report("nothing").to_dict() | {"verdict": VERDICT}
        recorded(session, campaign, ModelState.REJECTED, report=report)
    page = client_of().get("/c/butterflies/models/1").text
    assert "Taxa on which it is right less often" in page
    rows = [part.split("</tr>")[0] for part in page.split("<tr>") if ">loses too many<" in part or "<td" in part]
    told = {
        name: [number.split("</td>")[0] for number in row.split('<td class="number">')[1:]]
        for row in rows
        for name in ("cardui", "atalanta")
        if name in row
    }
    assert told == {"cardui": ["0", "6", "7"], "atalanta": ["28", "29", "31"]}
    assert page.count(">loses too many<") == 1
    assert "No label is left of 1 taxon that the other one names:" in page
