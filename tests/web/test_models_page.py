"""The record of models through HTTP: the report in pictures, the card, the snapshot, and going back to a version."""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from active_learning import (
    CurvePoint,
    Evidence,
    ModelCard,
    Report,
    Share,
    apply_temperature,
    fit_ranks,
    make_card,
    measure,
    novelty_figures,
)
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.jobs import queries as jobs
from icones.learning import labels, queries, service
from icones.models import BackboneTrial, Campaign, JobKind, ModelState, ModelVersion, Role
from tests.support.campaigns import ADMIRAL, LADY, WHITE
from tests.support.people import csrf_of
from tests.support.voices import carried_out, verified

Clients = Callable[..., TestClient]


@pytest.fixture
def trained(settings: Settings, database: Database, campaign: Campaign) -> Campaign:
    """A campaign with one model, trained on nine verified figures."""
    verified(database, campaign, range(9))
    assert carried_out(settings, database, campaign, JobKind.RETRAIN).result["published"]
    return campaign


def test_before_the_first_model_the_page_says_what_is_needed(campaign: Campaign, client_of: Clients) -> None:
    page = client_of().get("/c/butterflies/models")
    assert page.status_code == 200
    assert "No model yet" in page.text
    assert client_of().get("/c/butterflies/models/1", headers={"Accept": "application/json"}).status_code == 404


def test_the_report_shows_every_part(trained: Campaign, database: Database, client_of: Clients) -> None:
    page = client_of().get("/c/butterflies/models/1").text
    with database.reading() as session:
        version = queries.version(session, trained.id or 0, 1)
        assert version is not None
    for words in ("Right at the first guess", "What was taken for what", "Name by name", "four in five"):
        assert words in page
    assert "Vanessa</i> <i>atalanta" in page
    assert version.verdict in page
    assert version.snapshot_hash in page
    assert f"{version.report['accuracy']:.0%}" in page


def test_readers_see_the_report_and_only_curators_the_way_back(
    trained: Campaign, settings: Settings, database: Database, client_of: Clients
) -> None:
    _retire(database, trained)
    assert "Go back to this one" not in client_of().get("/c/butterflies/models").text
    assert "Go back to this one" in client_of(Role.CURATOR).get("/c/butterflies/models").text


def _retire(database: Database, campaign: Campaign) -> None:
    """Make a second version, a copy of the first with another number, the one that serves."""
    with database.writing() as session:
        first = queries.version(session, campaign.id or 0, 1)
        assert first is not None
        values = first.model_dump(exclude={"id", "number", "state", "published_at", "retired_at"})
        second = ModelVersion(**values, number=2)
        own = session.get_one(Campaign, campaign.id)
        service.record_version(session, own, second, ModelState.CHAMPION, "The second.", utc_now())


def test_an_earlier_version_serves_again(trained: Campaign, database: Database, client_of: Clients) -> None:
    _retire(database, trained)
    client = client_of(Role.CURATOR)
    page = client.post("/c/butterflies/models/1/serve", data={"csrf": csrf_of(client)})
    assert "Model version 1 serves again" in page.text
    with database.reading() as session:
        states = {version.number: version.state for version in queries.versions(session, trained.id or 0)}
        assert states == {1: ModelState.CHAMPION, 2: ModelState.RETIRED}
        assert jobs.unfinished(session, trained.id, JobKind.PREDICT) is not None
    again = client.post(
        "/c/butterflies/models/1/serve", data={"csrf": csrf_of(client)}, headers={"Accept": "application/json"}
    )
    assert again.status_code == 409
    volunteer = client_of(Role.VOLUNTEER)
    refused = volunteer.post("/c/butterflies/models/2/serve", data={"csrf": csrf_of(volunteer)})
    assert refused.status_code == 403


def test_the_snapshot_names_every_label(trained: Campaign, client_of: Clients) -> None:
    answer = client_of().get("/c/butterflies/models/1/snapshot.json")
    told = json.loads(answer.content)
    assert len(told["labels"]) == 9
    assert {"figure", "taxon", "group", "origin", "weight"} <= told["labels"][0].keys()
    assert "butterflies-model-1-snapshot.json" in answer.headers["Content-Disposition"]


def test_a_model_that_could_not_be_measured_says_so(trained: Campaign, database: Database, client_of: Clients) -> None:
    with database.writing() as session:
        version = queries.version(session, trained.id or 0, 1)
        assert version is not None
        version.report = Report("nothing").to_dict()
        session.add(version)
    assert "Not measured yet" in client_of().get("/c/butterflies/models/1").text
    assert "not measured" in client_of().get("/c/butterflies/models").text


def _evidence(n: int = 240) -> Evidence:
    """Three taxa, of which the two sisters are confused now and then; the third is known from few labels."""
    rng = np.random.default_rng(5)
    truth = rng.choice(3, n, p=[0.5, 0.4, 0.1])
    classes = (ADMIRAL, LADY, WHITE)
    decision = rng.normal(size=(n, 3)) + 3.0 * np.eye(3)[truth] + 1.5 * (truth[:, None] < 2) * np.array([1, 1, 0])
    return Evidence(
        decision=decision,
        proba=apply_temperature(decision, 0.8),
        y=tuple(classes[i] for i in truth),
        classes=classes,
        groups=tuple(f"plate {i}" for i in range(n)),
        sources=tuple(("Album | one", "Album two")[i % 2] for i in range(n)),
        measured_on="holdout",
        learned={ADMIRAL: 60, LADY: 50, WHITE: 3},
    )


VERDICT = {
    "publish": True, "reason": "", "n": 90, "n_groups": 90, "challenger_accuracy": 0.913, "champion_accuracy": 0.87,
    "challenger_balanced_accuracy": 0.9, "champion_balanced_accuracy": 0.85, "gain": 0.05, "gain_low": 0.01,
    "gain_high": 0.09, "new_classes": [], "worse_classes": [LADY], "flips": 0.011, "flips_back": 0.054,
    "ece_change": -0.004,
}  # fmt: skip


@pytest.fixture
def carded(database: Database, campaign: Campaign) -> ModelCard:
    """A campaign with verified figures and a model that has a card; returns the card."""
    verified(database, campaign, range(6))
    evidence, now = _evidence(), utc_now()
    with database.writing() as session:
        tree = labels.taxonomy_of(session, evidence.classes)
        scores = np.linspace(0.0, 1.0, 100)
        card = make_card(
            evidence,
            tree,
            ranks=fit_ranks(evidence.decision, evidence.y, evidence.classes, tree, target=0.9),
            sets=[evidence.classes[:2]] * len(evidence),
            novelty=novelty_figures(scores, scores + 0.5, scores[:0], "Taxa were left out in turn."),
            curve=[CurvePoint(30, Share(0.6, 0.5, 0.7)), CurvePoint(60, Share(0.7, 0.6, 0.8))],
            target_precision=0.9,
            notes=(f"Mind {WHITE}.",),
        )
        report = measure(evidence.proba, evidence.y, evidence.classes, evidence.groups, tree, "holdout").to_dict()
        version = ModelVersion(
            campaign_id=campaign.id or 0,
            number=1,
            backbone="classical@1",
            folder="models/1",
            snapshot_hash="ab" * 32,
            snapshot={"labels": [{"taxon": qid, "origin": "verified"} for qid in evidence.classes]},
            seed=7,
            report=report | {"card": card.to_dict(), "verdict": VERDICT},
            created_at=now,
        )
        own = session.get_one(Campaign, campaign.id)
        service.record_version(session, own, version, ModelState.CHAMPION, "Published: it is better.", now)
    return card


def test_the_report_tells_the_worth_of_a_model_in_words_and_pictures(carded: ModelCard, client_of: Clients) -> None:
    page = client_of().get("/c/butterflies/models/1").text
    assert f"<strong>{round(carded.accuracy.value * 100)} of 100</strong>" in page
    species = carded.ranks[0]
    assert species.promised is not None
    assert f"<strong>{round(species.said_right.value * 100)} of 100</strong>" in page
    for words in (
        "Taken for one another", "More taxa, more labels", "When it does not know", "Where more images help most",
        "Source by source", "Could it settle figures by itself?", "Beside the version that served", "Name by name",
    ):  # fmt: skip
        assert f">{words}</" in page, words
    assert "only 3 labels" in page
    assert "Mind Pieris rapae." in page
    assert "91.3%" in page
    assert 'of 1 taxon: <span lang="la"><i>Vanessa</i> <i>cardui</i></span>' in page
    assert page.count("<title id=") == page.count("<desc id=") >= 4


def test_look_alikes_are_shown_with_verified_figures_of_both(carded: ModelCard, client_of: Clients) -> None:
    client = client_of()
    page = client.get("/c/butterflies/models/1").text
    first = carded.pairs[0]
    assert {first.a, first.b} == {ADMIRAL, LADY}
    assert first.relation == "genus"
    assert "same genus" in page
    assert f"{first.a_as_b} of {first.a_figures} times" in page
    plates = re.findall(r'<div class="pair-plates">(.*?)</div>', page)[0]
    addresses = re.findall(r'src="([^"]+)"', plates)
    assert len(addresses) == 2
    assert client.get(addresses[0].replace("&amp;", "&")).headers["Content-Type"] == "image/jpeg"
    similar = re.search(r'href="(/c/butterflies/f/\d+/similar)"', page)
    assert similar
    assert client.get(similar.group(1)).status_code == 200


def test_the_networks_that_were_compared_are_shown(
    carded: ModelCard, campaign: Campaign, database: Database, client_of: Clients
) -> None:
    assert "Which network sees best" not in client_of().get("/c/butterflies/models/1").text
    rows: list[dict[str, Any]] = [
        {"name": "insects", "seconds": 0.02, "by_labels": [{"labels": 1, "accuracy": 0.42, "low": 0.3, "high": 0.5}]},
        {"name": "absent", "problem": "Its weights are not here."},
    ]
    with database.writing() as session:
        for results in (rows[:0], rows):
            trial = BackboneTrial(
                campaign_id=campaign.id or 0, chosen="insects", why="It sees more.", results=results, n_figures=40,
                n_classes=6, at=utc_now(),
            )  # fmt: skip
            session.add(trial)
            session.flush()
    page = client_of().get("/c/butterflies/models/1").text
    for words in ("It sees more.", "42%", "chosen", "Its weights are not here."):
        assert words in page


def test_the_card_is_taken_home_as_text_and_as_numbers(carded: ModelCard, client_of: Clients) -> None:
    text = client_of().get("/c/butterflies/models/1/card.md")
    assert text.headers["Content-Type"].startswith("text/markdown")
    assert "butterflies-model-1-card.md" in text.headers["Content-Disposition"]
    headings = ["Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data"]
    headings += ["Quantitative analyses", "Ethical considerations", "Caveats and recommendations"]
    assert re.findall(r"^## (.+)$", text.text, re.M) == headings
    share = carded.accuracy
    assert f"| Right | {share.value:.1%} ({share.low:.1%} to {share.high:.1%}) |" in text.text
    assert "| Album \\| one |" in text.text, "a name cannot break the table"
    told = client_of().get("/c/butterflies/models/1/card.json").json()
    assert ModelCard.from_dict(told["card"]) == carded
    assert (told["number"], told["seed"], told["snapshot_hash"]) == (1, 7, "ab" * 32)


def test_a_version_without_a_card_still_has_a_report_and_a_text(
    trained: Campaign, database: Database, client_of: Clients
) -> None:
    with database.writing() as session:
        version = queries.version(session, trained.id or 0, 1)
        assert version is not None
        version.report = {key: value for key, value in version.report.items() if key not in ("card", "verdict")}
        session.add(version)
    page = client_of().get("/c/butterflies/models/1").text
    assert "Right at the first guess" in page
    assert "card.json" not in page
    assert "## Quantitative analyses" in client_of().get("/c/butterflies/models/1/card.md").text
    refused = client_of().get("/c/butterflies/models/1/card.json", headers={"Accept": "application/json"})
    assert refused.status_code == 404


def test_the_report_can_be_read_in_every_language(carded: ModelCard, client_of: Clients) -> None:
    client = client_of()
    for language in ("nl", "de", "fr"):
        client.headers["Accept-Language"] = language
        page = client.get("/c/butterflies/models/1")
        assert page.status_code == 200
        assert f'<html lang="{language}">' in page.text
