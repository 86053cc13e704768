"""Questions whose answer is known: who gets them, what they tell, and that they change nothing."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import queries
from icones.identifications import service as identifications
from icones.identifications.service import Submission
from icones.models import Answer, Campaign, Determination, Figure, Person, Role, Skill
from icones.people import queries as people
from icones.review import gold
from tests.support.campaigns import ADMIRAL, FAMILY, GENUS, LADY, ROOT, WHITE, figure_ids, make_campaign
from tests.support.people import csrf_of, new_submission
from tests.support.voices import KINDS, says, somebody

TAG = "/c/butterflies/tag"
LONG_AGO = utc_now() - timedelta(days=7)
Clients = Callable[..., TestClient]


@pytest.fixture
def golden(settings: Settings, database: Database) -> Iterator[Campaign]:
    """A campaign of 24 figures, 21 of which a specialist has settled, where every question is one of these."""
    made = make_campaign(settings, database, utc_now(), per_kind=8)
    figures = figure_ids(database, made)
    cora = somebody(database, made, "Cora", Role.SPECIALIST)
    with database.writing() as session:
        for place in range(21):
            said = Submission(new_submission(), Answer.TAXON, KINDS[place % 3])
            identifications.submit(session, cora, figures[place], said, utc_now())
        own = session.get_one(Campaign, made.id)
        own.gold_share = 1.0
    with database.reading() as session:
        yield session.get_one(Campaign, made.id)


def asked(database: Database, campaign: Campaign, person: Person) -> int | None:
    with database.reading() as session:
        return gold.asked(session, campaign, person.id or 0, LONG_AGO)


def state_of(database: Database, figure: int) -> dict[str, object]:
    with database.reading() as session:
        return session.get_one(Determination, figure).model_dump()


def demo_person(database: Database) -> Person:
    with database.reading() as session:
        found = people.by_sub(session, "demo:volunteer")
    assert found is not None
    return found


def test_it_is_asked_and_answered_like_any_other_and_changes_nothing(
    client_of: Clients, database: Database, golden: Campaign
) -> None:
    client = client_of(Role.VOLUNTEER)
    figure = asked(database, golden, demo_person(database))
    assert figure is not None
    page, again = client.get(TAG).text, client.get(f"{TAG}?figure={figure}").text
    for text in (page, again):
        assert f'action="{TAG}/{figure}"' in text
        assert "needs no answer" not in text
        assert "Verified" not in text
    before = state_of(database, figure)
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": WHITE}
    client.post(f"{TAG}/{figure}", data=form)
    assert state_of(database, figure) == before
    with database.reading() as session:
        last = queries.standing(session, [figure])[figure][-1]
    assert last.shown == {"blind": True, "gold": True}


def test_no_page_tells_whoever_is_asked_that_and_how_it_is_settled(
    client_of: Clients, database: Database, golden: Campaign
) -> None:
    client, stranger = client_of(Role.VOLUNTEER), client_of()
    figure = asked(database, golden, demo_person(database)) or 0
    name = {ADMIRAL: "red admiral", LADY: "painted lady", WHITE: "small white"}[
        str(state_of(database, figure)["taxon_qid"])
    ]
    for address in (f"/c/butterflies/f/{figure}", f"/c/butterflies/f/{figure}/similar", f"/api/v1/figures/{figure}"):
        hidden, open_one = client.get(address).text, stranger.get(address).text
        assert [word in hidden.replace("Any state", "") for word in (name, "specialist")] == [False, False], address
        assert name in open_one
    told = client.get(f"/api/v1/figures/{figure}").json()["figure"]["determination"]
    assert (told["state"], told["taxon_qid"], told["n_agree"]) == ("open", None, 0)
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": WHITE}
    client.post(f"{TAG}/{figure}", data=form)
    assert name in client.get(f"/c/butterflies/f/{figure}").text


@pytest.mark.parametrize(
    ("said", "told"), [("same", "and says the same."), ("above", "and agrees:"), ("other", "Thank you for looking.")]
)
def test_afterwards_the_page_tells_what_the_specialist_said(
    client_of: Clients, database: Database, golden: Campaign, said: str, told: str
) -> None:
    client = client_of(Role.VOLUNTEER)
    figure = asked(database, golden, demo_person(database))
    truth = str(state_of(database, figure or 0)["taxon_qid"])
    chosen = {"same": truth, "above": ROOT, "other": LADY if truth != LADY else ADMIRAL}[said]
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": chosen}
    assert told in client.post(f"{TAG}/{figure}", data=form).text


def test_nobody_gets_the_same_twice_and_a_reload_asks_the_same(database: Database, golden: Campaign) -> None:
    anna = somebody(database, golden, "Anna")
    seen = []
    while (figure := asked(database, golden, anna)) is not None:
        assert asked(database, golden, anna) == figure
        seen.append(figure)
        says(database, anna, figure, GENUS)
    assert len(seen) == len(set(seen)) == 21


def test_a_specialist_is_not_asked_what_they_settled_and_few_figures_are_not_enough(
    database: Database, golden: Campaign
) -> None:
    anna, cora = somebody(database, golden, "Anna"), somebody(database, golden, "Cora")
    assert asked(database, golden, cora) is None
    with database.writing() as session:
        for figure in figure_ids(database, golden)[:2]:
            session.get_one(Figure, figure).removed_at = utc_now()
            session.get_one(Determination, figure).settled_by = None
    assert asked(database, golden, anna) is None


def test_a_group_in_which_nothing_is_known_of_the_person_comes_first(database: Database, golden: Campaign) -> None:
    anna = somebody(database, golden, "Anna")
    with database.writing() as session:
        known = Skill(
            campaign_id=golden.id or 0, person_id=anna.id or 0, group_qid=FAMILY, accuracy=0.9, low=0.7, high=0.95,
            n=9.0, at=utc_now(),
        )  # fmt: skip
        session.add(known)
    answers = []
    for _ in range(7):
        figure = asked(database, golden, anna) or 0
        answers.append(state_of(database, figure)["taxon_qid"])
        says(database, anna, figure, WHITE)
    assert set(answers) == {WHITE}


def test_the_share_is_kept_over_many_people(database: Database, golden: Campaign) -> None:
    golden.gold_share = 0.2
    with database.reading() as session:
        drawn = [gold.asked(session, golden, person, LONG_AGO) is not None for person in range(10_000, 10_300)]
    assert 0.12 < sum(drawn) / len(drawn) < 0.28


def test_if_the_specialist_takes_their_word_back_the_volunteers_word_counts(
    client_of: Clients, database: Database, golden: Campaign
) -> None:
    client = client_of(Role.VOLUNTEER)
    figure = asked(database, golden, demo_person(database)) or 0
    form = {"csrf": csrf_of(client), "submission_id": new_submission(), "chosen": LADY}
    client.post(f"{TAG}/{figure}", data=form)
    says(database, somebody(database, golden, "Bert"), figure, LADY)
    cora = somebody(database, golden, "Cora")
    with database.writing() as session:
        first = queries.standing(session, [figure])[figure][0]
        identifications.withdraw(session, cora, first.id or 0, utc_now())
    after = state_of(database, figure)
    assert (str(after["state"]), after["taxon_qid"]) == ("agreed", LADY)
