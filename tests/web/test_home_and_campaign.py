"""Home, a campaign's page and a person's own page through HTTP."""

from collections.abc import Callable

from sqlalchemy import event
from starlette.testclient import TestClient

from icones.campaigns import queries as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.models import Campaign, Role, Visibility
from icones.people import service as people
from tests.support.campaigns import ADMIRAL, LADY, figure_ids, make_campaign
from tests.support.people import csrf_of
from tests.support.voices import says, somebody, verified

Clients = Callable[..., TestClient]


def hide(database: Database, campaign: Campaign) -> None:
    with database.writing() as session:
        row = campaigns.by_id(session, campaign.id or 0)
        assert row is not None
        row.visibility = Visibility.PRIVATE
        session.add(row)


def test_an_empty_home_tells_the_first_step(client_of: Clients, database: Database) -> None:
    page = client_of().get("/")
    assert page.status_code == 200
    assert "No campaign yet" in page.text
    assert "Make the first campaign" not in page.text


def test_home_shows_how_far_a_campaign_is_and_what_waits(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    verified(database, campaign, [0, 1, 2])
    page = client_of(Role.VOLUNTEER).get("/").text
    assert "Butterflies of the album" in page
    assert "3 of 12 settled" in page
    assert "9 figures wait for you" in page
    assert "Sign in to help" not in page
    assert "Sign in to help" in client_of().get("/").text


def test_what_i_have_named_no_longer_waits_for_me(client_of: Clients, database: Database, campaign: Campaign) -> None:
    client = client_of(Role.VOLUNTEER)
    with database.writing() as session:
        me = people.arrive(session, "demo:volunteer", "Demo volunteer", utc_now())
    says(database, me, figure_ids(database, campaign)[0], ADMIRAL)
    assert "11 figures wait for you" in client.get("/").text
    assert "11 figures wait for you" in client.get("/c/butterflies").text


def test_home_asks_the_database_the_same_number_of_questions_for_many_campaigns(
    client_of: Clients, settings: Settings, database: Database, campaign: Campaign, app: object
) -> None:
    client = client_of()
    engine = app.state.database.engine  # type: ignore[attr-defined]
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    client.get("/")
    one = len(asked)
    asked.clear()
    for number in range(3):
        make_campaign(settings, database, utc_now(), per_kind=1, slug=f"more-{number}")
    assert client.get("/").status_code == 200
    assert len(asked) == one


def test_covers_carry_their_makers_and_licences(client_of: Clients, database: Database, campaign: Campaign) -> None:
    with database.writing() as session:
        for place, row in enumerate(campaigns.covers(session, [campaign.id or 0], 3)[campaign.id or 0]):
            row.artist, row.mid, row.uploader = ('Ann "A" <b>', "", "")[place], f"M{place + 1}", "Ben"
            session.add(row)
    page = client_of().get("/").text
    for title in (
        "Ann &#34;A&#34; &lt;b&gt;, via Wikimedia Commons, Public domain",
        "author not told by the source, uploaded by Ben, via Wikimedia Commons, Public domain",
    ):
        assert page.count(f'alt="" title="{title}"') == 2 * (1 if "Ann" in title else 2)  # at the top, and on the card


def test_a_private_campaign_hides_from_strangers(client_of: Clients, database: Database, campaign: Campaign) -> None:
    stranger, member = client_of(), client_of(Role.VOLUNTEER)
    figure = figure_ids(database, campaign)[0]
    hide(database, campaign)
    for path in (
        "/c/butterflies",
        "/c/butterflies/tag",
        f"/c/butterflies/f/{figure}/image",
        "/taxa?campaign=butterflies&q=van",
    ):
        assert stranger.get(path).status_code == 404, path
        assert member.get(path).status_code == 200, path
    assert "Butterflies of the album" not in stranger.get("/").text


def test_the_gallery_can_be_narrowed_to_a_state(client_of: Clients, database: Database, campaign: Campaign) -> None:
    figures = verified(database, campaign, [0])
    for name, qid in (("Ann", ADMIRAL), ("Ben", LADY)):
        says(database, somebody(database, campaign, name), figures[1], qid)
    client = client_of()
    page = client.get("/c/butterflies?state=verified").text
    assert page.count('class="plate-card"') == 1
    assert "red admiral" in page
    assert client.get("/c/butterflies?state=disputed").text.count('class="plate-card"') == 1
    assert "No plate is in this state now" in client.get("/c/butterflies?state=agreed").text
    assert client.get("/c/butterflies").text.count('class="plate-card"') == 12


def test_the_gallery_has_pages(client_of: Clients, settings: Settings, database: Database) -> None:
    make_campaign(settings, database, utc_now(), per_kind=9, slug="many")
    client = client_of()
    assert client.get("/c/many").text.count('class="plate-card"') == 24
    second = client.get("/c/many?page=2")
    assert second.text.count('class="plate-card"') == 3
    assert "Page 2 of 2" in second.text


def test_only_who_agreed_is_named(client_of: Clients, database: Database, campaign: Campaign) -> None:
    figures = figure_ids(database, campaign)
    shy, proud = somebody(database, campaign, "Shy Sam"), somebody(database, campaign, "Proud Pia")
    with database.writing() as session:
        people.set_preferences(session, session.merge(proud), "en", named_in_exports=True)
    for who in (shy, proud):
        says(database, who, figures[0], ADMIRAL)
    with database.reading() as session:
        plate = campaigns.covers(session, [campaign.id or 0], 1)[campaign.id or 0][0].id
    for path in ("/c/butterflies", f"/c/butterflies/i/{plate}"):
        page = client_of().get(path).text
        assert "Proud Pia" in page, path
        assert "Shy Sam" not in page, path


def test_a_person_sets_language_and_whether_to_be_named(
    client_of: Clients, database: Database, campaign: Campaign
) -> None:
    client = client_of(Role.VOLUNTEER)
    sent = {"csrf": csrf_of(client, "/me"), "language": "nl", "named_in_exports": "true"}
    page = client.post("/me", data=sent)
    assert page.status_code == 200
    assert '<html lang="nl">' in page.text
    assert 'name="named_in_exports" value="true" checked' in page.text
    client.post("/me", data={"csrf": csrf_of(client, "/me"), "language": "nl"})
    assert 'name="named_in_exports" value="true" checked' not in client.get("/me").text
    assert client.post("/me", data={"csrf": csrf_of(client, "/me"), "language": "xx"}).status_code == 422


def test_a_strangers_own_page_asks_to_sign_in(client_of: Clients) -> None:
    page = client_of().get("/me")
    assert page.status_code == 401
    assert "/sign-in?next=/me" in page.text
