"""A stand-in that is described by the very variables that describe a real wiki."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.support.campaigns import drawing
from tests.support.real_wiki import variables as names
from tests.support.real_wiki.hand import AGENT
from tests.support.standin import StandInCommons, World, depicts

CATEGORY = "Plates to test with"
ITEMS = {"Q146": "house cat", "Q144": "dog", "Q3947": "house"}
FOREIGN = "Q5113"
PASSWORD = "correct-horse-battery"
_BACK = "http://127.0.0.1:9/callback"


def world_to_write() -> World:
    """A wiki that holds its own items: eight files in a category, one of them moved, one with others' statements."""
    world = World(sitename="Wiki to test with")
    world.rules.holds_all_items = True
    for qid, label in {**ITEMS, FOREIGN: "bird"}.items():
        world.add_entity(qid, {"en": label})
    world.add_entity("P180", {"en": "depicts"}, datatype="wikibase-item")
    world.add_category(CATEGORY)
    # Not one id after the other, as on a wiki where people do other things, too.
    pages = [world.add_file(f"Test plate {n}.jpg", drawing(n % 3, n), [CATEGORY], page_id=40 + 3 * n) for n in range(8)]
    world.set_statements(pages[1], [depicts(FOREIGN)])
    world.set_statements(pages[2], [])
    world.move_file(pages[3], "Test plate with another name.jpg")
    world.add_person("Anna", "77")
    for bot in ("IconesBot", "OtherBot"):
        world.add_bot_password(bot, "icones", PASSWORD)
    return world


@contextmanager
def served(port: int = 0) -> Iterator[Mapping[str, str]]:
    """Serve such a wiki on loopback; yield the variables that describe it."""
    world = world_to_write()
    with StandInCommons(world, port) as standin:
        files = [page.page_id for page in world.members(f"Category:{CATEGORY}")]
        access, refresh = _tokens(f"{standin.rest_url}/oauth2")
        yield {
            names.API: standin.api_url,
            names.USER: "IconesBot@icones",
            names.PASSWORD: PASSWORD,
            names.USER2: "OtherBot@icones",
            names.PASSWORD2: PASSWORD,
            names.DEPICTS: "P180",
            names.FILES: ",".join(f"M{one}" for one in files),
            names.ITEMS: ",".join(ITEMS),
            names.CATEGORY: CATEGORY,
            names.OAUTH_ROOT: f"{standin.rest_url}/oauth2",
            names.CLIENT_ID: "icones-test",
            names.CLIENT_SECRET: "icones-secret",
            names.ACCESS_TOKEN: access,
            names.REFRESH_TOKEN: refresh,
        }


def _tokens(root: str) -> tuple[str, str]:
    """What Anna's yes on the consent page brings: an access token and a refresh token."""
    asked = {"response_type": "code", "client_id": "icones-test", "redirect_uri": _BACK, "auto": "1", "person": "Anna"}
    with httpx2.Client(headers={"User-Agent": AGENT}) as client:
        back = client.get(f"{root}/authorize", params=asked)
        code = parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": _BACK, "client_id": "icones-test"}
        told = client.post(f"{root}/access_token", data=form | {"client_secret": "icones-secret"}).json()
    return told["access_token"], told["refresh_token"]
