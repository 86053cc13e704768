"""The first people name a figure without the model: what pages show, what is recorded, and what is told after."""

import re
from collections.abc import Callable

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import queries
from icones.identifications import service as identifications
from icones.illustrations import service as illustrations
from icones.learning import labels
from icones.models import Campaign, Embedding, Figure, JobKind, ModelVersion, ReviewTask, Role
from tests.support.campaigns import ADMIRAL, GENUS, LADY, WHITE, drawing, figure_ids
from tests.support.foretold import foretold
from tests.support.people import csrf_of, new_submission
from tests.support.voices import carried_out, says, somebody, verified

TAG, REVIEW, API = "/c/butterflies/tag", "/c/butterflies/review", "/api/v1"
Clients = Callable[..., TestClient]
RANKED = ((ADMIRAL, 0.7), (LADY, 0.2), (WHITE, 0.1))


@pytest.fixture
def version(database: Database, campaign: Campaign) -> int:
    """A serving model that takes every figure for a red admiral."""
    return foretold(database, campaign, dict.fromkeys(figure_ids(database, campaign), RANKED))


def spoken(database: Database, campaign: Campaign, figure: int, *qids: str) -> None:
    for n, qid in enumerate(qids):
        says(database, somebody(database, campaign, f"Voice {n}"), figure, qid)


def answered(client: TestClient, figure: int, **fields: object) -> str:
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), **fields}
    return client.post(f"{TAG}/{figure}", data=form).text


def shown(database: Database, figure: int) -> dict[str, object]:
    """What the last one to speak had on the screen."""
    with database.reading() as session:
        return queries.standing(session, [figure])[figure][-1].shown


def suggests(page: str) -> bool:
    return 'aria-label="What the model suggests"' in page or "suggestion-still" in page


@pytest.mark.parametrize("others", [0, 1, 2])
def test_the_model_speaks_from_the_third_person_on(
    client_of: Clients, database: Database, campaign: Campaign, version: int, others: int
) -> None:
    figure = figure_ids(database, campaign)[0]
    spoken(database, campaign, figure, *[LADY] * others)
    client = client_of(Role.VOLUNTEER)
    page = client.get(f"{TAG}?figure={figure}").text
    fragment = client.get(f"{TAG}?figure={figure}", headers={"HX-Request": "true"}).text
    prediction = client.get(f"{API}/figures/{figure}").json()["prediction"]
    stranger = client_of().get(f"{TAG}?figure={figure}").text
    seen = [suggests(page), suggests(fragment), prediction is not None, suggests(stranger)]
    assert seen == [others >= 2] * 4
    assert ('name="model_version"' in page) == (others >= 2)
    assert ("What the model thinks, it says after your answer." in page) == (others < 2)
    assert 'name="taxon_words"' in page


def test_a_form_that_claims_to_have_seen_what_was_kept_back_is_recorded_as_blind(
    client_of: Clients, database: Database, campaign: Campaign, version: int
) -> None:
    figures = figure_ids(database, campaign)
    client = client_of(Role.VOLUNTEER)
    answered(client, figures[0], chosen=ADMIRAL, model_version=version)
    assert shown(database, figures[0]) == {"blind": True, "reason": "new"}
    said = {"submission_id": new_submission(), "taxon_qid": ADMIRAL, "model_version_id": version}
    token = {"X-CSRF-Token": client.get(f"{API}/me").json()["csrf"]}
    assert client.post(f"{API}/figures/{figures[1]}/identifications", json=said, headers=token).status_code == 201
    assert shown(database, figures[1]) == {"blind": True, "reason": "new"}


def test_a_figure_asked_by_chance_is_known_as_such_though_the_first_votes_are_blind(
    client_of: Clients, settings: Settings, database: Database, campaign: Campaign
) -> None:
    """On such figures the model's probabilities are made honest: the others were asked because they are hard."""
    carried_out(settings, database, campaign, JobKind.EMBED)
    by_chance, by_api, for_doubt = figure_ids(database, campaign)[:3]
    with database.writing() as session:
        for figure, reason in ((by_chance, "random"), (by_api, "random"), (for_doubt, "uncertain")):
            session.get_one(ReviewTask, figure).reason = reason
    client = client_of(Role.VOLUNTEER)
    answered(client, by_chance, chosen=ADMIRAL)
    answered(client, for_doubt, chosen=WHITE)
    said = {"submission_id": new_submission(), "taxon_qid": LADY}
    token = {"X-CSRF-Token": client.get(f"{API}/me").json()["csrf"]}
    assert client.post(f"{API}/figures/{by_api}/identifications", json=said, headers=token).status_code == 201
    verified(database, campaign, range(3))
    with database.reading() as session:
        backbone = session.exec(select(Embedding.backbone)).first() or ""
        data = labels.gather(session, campaign, backbone).data
    assert data.at_random is not None
    assert dict(zip(data.ids, data.at_random.tolist(), strict=True)) == {
        by_chance: True,
        by_api: True,
        for_doubt: False,
    }


def test_what_was_seen_is_recorded_in_its_order_with_the_reason(
    client_of: Clients, database: Database, campaign: Campaign, version: int
) -> None:
    figure = figure_ids(database, campaign)[0]
    spoken(database, campaign, figure, ADMIRAL, LADY)
    answered(client_of(Role.VOLUNTEER), figure, chosen=ADMIRAL, model_version=version)
    assert shown(database, figure) == {
        "model_version": version,
        "suggestions": [{"qid": qid, "p": p} for qid, p in RANKED],
        "reason": "disputed",
    }


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (ADMIRAL, "The model thinks so too."),
        (GENUS, "The model agrees, and would say:"),
        (WHITE, "The model would say:"),
    ],
)
def test_after_a_blind_answer_the_model_says_what_it_thinks(
    client_of: Clients, database: Database, campaign: Campaign, version: int, said: str, told: str
) -> None:
    page = answered(client_of(Role.VOLUNTEER), figure_ids(database, campaign)[0], chosen=said)
    assert told in page


def test_without_a_model_nothing_is_told_after_an_answer(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    page = answered(client_of(Role.VOLUNTEER), figure_ids(database, campaign)[0], chosen=ADMIRAL)
    assert "Saved:" in page
    assert "The model" not in page[page.index("Saved:") : page.index("Undo")]


def test_a_second_thought_after_the_model_has_spoken_is_not_blind(
    client_of: Clients, database: Database, campaign: Campaign, version: int
) -> None:
    figure = figure_ids(database, campaign)[0]
    client = client_of(Role.VOLUNTEER)
    page = answered(client, figure, chosen=WHITE)
    mine = re.search(r'name="identification" value="(\d+)"', page)
    assert mine
    client.post(f"{TAG}/undo", data={"csrf": csrf_of(client), "identification": mine.group(1)})
    answered(client, figure, chosen=ADMIRAL)
    assert shown(database, figure)["model_version"] == version


def test_specialists_see_all_on_their_page_and_it_is_recorded(
    client_of: Clients, database: Database, campaign: Campaign, version: int
) -> None:
    figure = figure_ids(database, campaign)[0]
    client = client_of(Role.SPECIALIST)
    page = client.get(f"{REVIEW}?figure={figure}").text
    assert f'name="model_version" value="{version}"' in page
    assert client.get(f"{API}/figures/{figure}").json()["prediction"] is not None
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": LADY, "model_version": version}
    client.post(f"{REVIEW}/{figure}", data=form)
    assert shown(database, figure)["suggestions"]


def test_a_curator_sets_how_many_are_blind_and_by_which_rule_is_counted(
    client_of: Clients, database: Database, campaign: Campaign, version: int
) -> None:
    client = client_of(Role.CURATOR)
    page = client.get("/c/butterflies/curate/rules").text
    assert re.search(r'name="blind_votes"[^>]*value="2"', page)
    assert re.search(r'value="community" checked', page)
    form = {"csrf": csrf_of(client), "quorum": 2, "agreement_percent": 66.7, "retrain_after": 20, "gold_percent": 0}
    client.post("/c/butterflies/curate/rules", data=form | {"blind_votes": 0, "rule": "community"})
    with database.reading() as session:
        own = session.get_one(Campaign, campaign.id)
    assert (own.blind_votes, own.gold_share, own.agreement) == (0, 0.0, 2 / 3)
    figure = figure_ids(database, campaign)[0]
    assert suggests(client_of(Role.VOLUNTEER).get(f"{TAG}?figure={figure}").text)
    refused = client.post("/c/butterflies/curate/rules", data=form | {"blind_votes": 6, "rule": "named"})
    assert refused.status_code == 422


def test_it_cannot_be_named_more_exactly_counts_only_where_somebody_tried(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    first, second = figure_ids(database, campaign)[:2]
    client = client_of(Role.VOLUNTEER)
    assert 'name="disagrees"' not in client.get(f"{TAG}?figure={second}").text
    spoken(database, campaign, first, ADMIRAL)
    assert 'name="disagrees"' in client.get(f"{TAG}?figure={first}").text
    answered(client, first, chosen=GENUS, disagrees="true")
    answered(client, second, chosen=GENUS, disagrees="true")
    with database.reading() as session:
        rows = queries.standing(session, [first, second])
        states = queries.determinations(session, [first, second])
    assert (rows[first][-1].disagrees, rows[second][-1].disagrees) == (True, False)
    assert (states[first].state.value, states[first].taxon_qid) == ("disputed", GENUS)


# ---- on all other pages, and by the API

HOME, SENTENCE = "/c/butterflies", "2 people name this one before answers are shown."
NAME, QID = "painted lady", LADY


def plate_of(database: Database, figure: int) -> int:
    with database.reading() as session:
        return session.get_one(Figure, figure).illustration_id


@pytest.fixture
def begun(database: Database, campaign: Campaign, version: int) -> int:
    """The first figure, which one person has named where one is enough to agree: its name is there to be told."""
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).quorum = 1
    figure = figure_ids(database, campaign)[0]
    says(database, somebody(database, campaign, "Voice 0"), figure, LADY, comment="seen at once")
    return figure


def pages_of(client: TestClient, database: Database, figure: int) -> dict[str, str]:
    """All that a person may open about a figure, by where."""
    plate = plate_of(database, figure)
    addresses = {
        "plate": f"{HOME}/i/{plate}?figure={figure}",
        "gallery": HOME,
        "similar": f"{HOME}/f/{figure}/similar",
        "tag": f"{TAG}?figure={figure}",
        "figure": f"{API}/figures/{figure}",
        "figures": f"{API}/campaigns/butterflies/figures",
        "on the plate": f"{API}/illustrations/{plate}/figures",
        "next": f"{API}/campaigns/butterflies/next",
    }
    return {where: client.get(address).text for where, address in addresses.items()}


def tells(text: str) -> bool:
    """Whether a page tells what the model (always a red admiral here), or the first voice, says."""
    return any(word in text for word in (NAME, QID, "red admiral", ADMIRAL, "seen at once"))


@pytest.mark.parametrize("role", [None, Role.VOLUNTEER])
def test_nothing_that_a_volunteer_can_open_tells_an_answer_before_theirs(
    client_of: Clients, database: Database, campaign: Campaign, begun: int, role: Role | None
) -> None:
    client = client_of(role)
    found = pages_of(client, database, begun)
    assert [where for where, text in found.items() if tells(text)] == []
    assert SENTENCE in found["plate"]
    figure = client.get(f"{API}/figures/{begun}").json()
    told = figure["figure"]["determination"]
    assert (told["answer"], told["taxon_qid"], told["rule"], told["kept_back"]) == (None, None, "", SENTENCE)
    assert (figure["identifications"], figure["prediction"], figure["taxa"]) == ([], None, {})
    assert client.get(f"{API}/campaigns/butterflies/next").json()["reason"] != "likely"


def test_who_has_named_it_who_comes_after_the_first_and_who_reviews_see_all(
    client_of: Clients, database: Database, campaign: Campaign, begun: int
) -> None:
    for role in (Role.SPECIALIST, Role.CURATOR):
        found = pages_of(client_of(role), database, begun)
        assert NAME in found["plate"]
        assert "seen at once" in found["plate"]
        assert "You see them already, as you review." in found["plate"]
        assert NAME in found["gallery"]
        assert '"prediction":{' in found["figure"]
    volunteer = client_of(Role.VOLUNTEER)
    answered(volunteer, begun, chosen=ADMIRAL)
    found = pages_of(volunteer, database, begun)
    assert NAME in found["plate"]
    assert "red admiral" in found["plate"]
    assert SENTENCE not in found["plate"]
    assert NAME in found["figure"]
    assert suggests(found["tag"])
    stranger = pages_of(client_of(), database, begun)  # two have named it now
    assert NAME in stranger["plate"]
    assert suggests(stranger["tag"])


def test_what_is_settled_and_what_a_closed_campaign_found_is_public(
    client_of: Clients, database: Database, campaign: Campaign, begun: int, version: int
) -> None:
    second = figure_ids(database, campaign)[1]
    cora = somebody(database, campaign, "Cora", Role.SPECIALIST)
    done = says(database, cora, second, WHITE)
    client = client_of(Role.VOLUNTEER)
    assert "small white" in client.get(f"{HOME}/i/{plate_of(database, second)}").text
    assert client.get(f"{API}/figures/{second}").json()["figure"]["determination"]["kept_back"] == ""
    assert suggests(client.get(f"{TAG}?figure={second}").text)
    answered(client, second, chosen=ADMIRAL, model_version=version)
    assert shown(database, second)["model_version"] == version  # the page showed it: what is recorded is true
    third = figure_ids(database, campaign)[2]
    again = says(database, cora, third, WHITE)
    with database.writing() as session:
        for word in (done, again):
            identifications.withdraw(session, session.merge(cora), word.identification.id or 0, utc_now())
    assert not suggests(client.get(f"{TAG}?figure={third}").text)  # open again: the first votes are blind again
    assert NAME not in client_of().get(f"{HOME}/i/{plate_of(database, begun)}").text
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).closed_at = utc_now()
    assert NAME in client_of().get(f"{HOME}/i/{plate_of(database, begun)}").text


def test_what_a_model_learned_tells_no_vote_before_the_others_are_given(
    client_of: Clients, database: Database, campaign: Campaign, begun: int
) -> None:
    settled = figure_ids(database, campaign)[1]
    says(database, somebody(database, campaign, "Cora", Role.SPECIALIST), settled, WHITE)
    with database.writing() as session:
        row = session.exec(select(ModelVersion)).one()
        row.snapshot = {
            "labels": [
                {"figure": figure, "taxon": taxon, "group": "one", "source": "aa whole"}
                for figure, taxon in ((begun, LADY), (settled, WHITE))
            ]
        }
    for role, seen in ((Role.VOLUNTEER, [settled]), (None, [settled]), (Role.SPECIALIST, [begun, settled])):
        told = client_of(role).get(f"{HOME}/models/1/snapshot.json").json()
        assert [one["figure"] for one in told["labels"]] == seen
        assert told["labels_kept_back"] == 2 - len(seen)


def test_another_figure_of_the_plate_does_not_tell_it(
    client_of: Clients, database: Database, campaign: Campaign, begun: int
) -> None:
    with database.writing() as session:
        anna = session.merge(somebody(database, campaign, "Voice 0"))
        beside = illustrations.add_figure(session, plate_of(database, begun), anna, "pct:1,1,50,50", utc_now())
    client = client_of(Role.VOLUNTEER)
    assert not tells(client.get(f"{TAG}?figure={beside.id}").text)
    assert SENTENCE in client.get(f"{HOME}/i/{plate_of(database, begun)}?figure={beside.id}").text


def test_look_alikes_come_without_names_while_it_is_to_be_named_blind(
    client_of: Clients, settings: Settings, database: Database, campaign: Campaign
) -> None:
    figures = figure_ids(database, campaign)
    cora = somebody(database, campaign, "Cora", Role.SPECIALIST)
    with database.writing() as session:
        session.get_one(Campaign, campaign.id).quorum = 1
    says(database, cora, figures[3], LADY)
    says(database, somebody(database, campaign, "Voice 0"), figures[6], ADMIRAL)
    assert carried_out(settings, database, campaign, JobKind.EMBED).result
    client, plate = client_of(Role.VOLUNTEER), plate_of(database, figures[0])
    page = client.get(f"{HOME}/i/{plate}").text
    assert "Figures that look like it" in page
    assert not tells(page)
    assert "name shown later" in page
    search, path = client.get(f"{HOME}/f/{figures[0]}/similar").text, f"{API}/figures/{figures[0]}/similar"
    assert NAME in search  # of another figure that is settled: a search is a book to look things up in
    assert "red admiral" not in search
    told = {one["figure_id"]: one["determination"] for one in client.get(path).json()}
    assert (told[figures[3]]["taxon_qid"], told[figures[6]]["taxon_qid"]) == (LADY, None)
    assert told[figures[6]]["kept_back"] == SENTENCE
    for wanted in (client.get(path, params={"taxon": ADMIRAL}), client_of().get(path, params={"taxon": ADMIRAL})):
        assert wanted.json() == []
    assert f'/f/{figures[6]}"' not in client.get(f"{HOME}/f/{figures[0]}/similar", params={"taxon": ADMIRAL}).text
    seen = client_of(Role.SPECIALIST).get(path, params={"taxon": ADMIRAL}).json()
    assert [one["figure_id"] for one in seen] == [figures[6]]
    token = {"X-CSRF-Token": client.get(f"{API}/me").json()["csrf"]}
    sent = client.post(f"{API}/campaigns/butterflies/similar", content=drawing(0, 6), headers=token).json()
    assert {one["figure_id"]: one["determination"]["taxon_qid"] for one in sent}[figures[6]] is None
