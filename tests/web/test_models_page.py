"""The record of models through HTTP: the report in pictures, the card, the snapshot, and going back to a version."""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlmodel import select
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
from icones.models import BackboneTrial, Campaign, JobKind, ModelState, ModelVersion, Role, Visibility
from icones.people import service as people
from icones.web.model_card import plain
from tests.support.campaigns import ADMIRAL, LADY, WHITE, make_campaign
from tests.support.foretold import recorded
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


OWN, OTHER = "butterflies", "album-two"


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
        sources=tuple((OWN, OTHER)[i % 2] for i in range(n)),
        measured_on="holdout",
        learned={ADMIRAL: 60, LADY: 50, WHITE: 3},
        checked=np.ones(n, dtype=bool),
    )


VERDICT = {
    "publish": True, "reason": "", "n": 90, "n_groups": 90, "challenger_accuracy": 0.913, "champion_accuracy": 0.87,
    "challenger_balanced_accuracy": 0.9, "champion_balanced_accuracy": 0.85, "gain": 0.05, "gain_low": 0.01,
    "gain_high": 0.09, "new_classes": [], "worse_classes": [LADY], "flips": 0.011, "flips_back": 0.054,
    "ece_change": -0.004,
}  # fmt: skip


LABELS = [
    {"figure": 1, "taxon": ADMIRAL, "origin": "verified", "campaign": OWN, "group": "atlas", "source": "aa whole"},
    {"figure": 901, "taxon": LADY, "origin": "verified", "campaign": OTHER, "group": "atlas", "source": "bb whole"},
    {"figure": 987654, "taxon": WHITE, "origin": "verified", "campaign": OTHER, "group": "log", "source": "cc whole"},
]


def _show(database: Database, campaign: Campaign, visibility: Visibility) -> None:
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).visibility = visibility


@pytest.fixture
def carded(settings: Settings, database: Database, campaign: Campaign) -> ModelCard:
    """A campaign with verified figures and a model that has a card; returns the card.

    It learned from two campaigns, the first label from this one, the others from the other.
    """
    verified(database, campaign, range(6))
    _show(database, make_campaign(settings, database, utc_now(), per_kind=1, slug=OTHER), Visibility.PUBLIC)
    evidence = _evidence()
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
        recorded(
            session,
            campaign,
            why="Published: it is better.",
            backbone="classical@1",
            snapshot_hash="ab" * 32,
            snapshot={"labels": LABELS},
            seed=7,
            report=report | {"card": card.to_dict(), "verdict": VERDICT},
        )
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
    assert f"| {OTHER} |" in text.text
    assert plain("Album | one") == "Album \\| one", "a name cannot break the table"
    told = client_of().get("/c/butterflies/models/1/card.json").json()
    assert ModelCard.from_dict(told["card"]) == carded
    assert (told["number"], told["seed"], told["snapshot_hash"]) == (1, 7, "ab" * 32)


def test_what_is_of_a_campaign_that_one_does_not_see_is_left_out_and_counted(
    carded: ModelCard, database: Database, client_of: Clients
) -> None:
    curator, reader, here = client_of(Role.CURATOR), client_of(), "/c/butterflies/models/1"
    for visibility in (Visibility.PRIVATE, Visibility.UNLISTED):
        with database.writing() as session:
            other = session.exec(select(Campaign).where(Campaign.slug == OTHER)).one()
            other.visibility = visibility
            one = people.require_by_name(session, curator.get("/api/v1/me").json()["name"])
            people.grant(session, other.id or 0, one, Role.VOLUNTEER, utc_now())
        page, text = reader.get(here).text, reader.get(f"{here}/card.md").text
        kept, card = reader.get(f"{here}/snapshot.json").json(), reader.get(f"{here}/card.json").json()
        report = reader.get("/api/v1/campaigns/butterflies/models/1").json()
        for told in (page, text, json.dumps(kept), json.dumps(card), json.dumps(report)):
            for word in (OTHER, "atlas", "987654", "bb whole", '"log"'):
                assert word not in told, word
        assert "1 campaign that is not open to you is left out." in page
        assert "The training snapshot leaves out 2 labels of campaigns that are not open to you." in page
        assert "they are not open to the reader of this card: 1." in text
        assert "but for 2 that are not open to its reader." in text
        assert kept["labels"] == [LABELS[0] | {"group": "aa"}]
        assert (kept["labels_left_out"], card["sources_left_out"], report["sources_left_out"]) == (2, 1, 1)
        assert [row["source"] for row in (*card["card"]["sources"], *report["report"]["card"]["sources"])] == [OWN] * 2
    page, text = curator.get(here).text, curator.get(f"{here}/card.md").text
    kept, card = curator.get(f"{here}/snapshot.json").json(), curator.get(f"{here}/card.json").json()
    assert OTHER in page
    assert OTHER in text
    assert "not open to" not in page + text
    assert (kept["labels"], kept["labels_left_out"], card["sources_left_out"]) == (LABELS, 0, 0)
    assert ModelCard.from_dict(card["card"]) == carded


def test_the_card_says_whether_the_model_settles_figures_by_itself(
    carded: ModelCard, campaign: Campaign, database: Database, client_of: Clients
) -> None:
    for is_on, words in (
        (False, "the model never settles a figure by itself, unless a curator turns that on"),
        (True, "where it is sure enough the model settles a figure by itself, as a curator turned on"),
    ):
        with database.writing() as session:
            session.get_one(Campaign, campaign.id).auto_validates = is_on
        text = client_of().get("/c/butterflies/models/1/card.md").text
        assert words in text
        assert ("(a suggestion, not in use)" in text, "(in use)" in text) == (not is_on, is_on)


def test_the_card_says_on_what_its_thresholds_rest_or_that_it_settles_nothing(
    carded: ModelCard, database: Database, client_of: Clients
) -> None:
    assert carded.proof is not None
    page, text = (client_of().get(f"/c/butterflies/models/1{end}").text for end in ("", "/card.md"))
    assert "there are 240 such figures of 240 sources." in page
    assert "To prove 90.0% for a taxon takes at least 36 sources of it there" in page
    assert "people verified here: 240 figures of 240 sources. To prove 90.0% for a taxon takes at least 36" in text
    with database.writing() as session:
        version = session.exec(select(ModelVersion)).one()
        card = {key: value for key, value in version.report["card"].items() if key != "proof"}
        version.report = {**version.report, "card": card}
        session.add(version)
    page, text = (client_of().get(f"/c/butterflies/models/1{end}").text for end in ("", "/card.md"))
    assert "It settles nothing; the next training measures anew." in page
    assert "All taxa together" not in page
    assert "It settles nothing; the next training measures anew." in text
    assert "all taxa together" not in text


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
