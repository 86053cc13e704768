"""A small world equal to the recorded wiki at the moment of one recording.

The facts (page ids, titles, revisions, statements) are read out of recorded answers; what the stand-in makes of
them is then compared with the answer. The forms of an answer (missing, empty list or map, warnings) are not put
in: they have to come out.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

from PIL import Image

from tests.support.standin.statements import Snak, Statement, statements_json
from tests.support.standin.world import EMPTY_SLOT, Page, Person, World

Json = Mapping[str, Any]
CATEGORY = "Category:Study images"
FILES = {
    36: "File:Study cat on wall 01.jpg",
    37: "File:Study dog in park 02.jpg",
    38: "File:Study bicycle 03.jpg",
    39: "File:Study house 04.jpg",
    40: "File:Study tree 05.jpg",
    41: "File:Study river 06.jpg",
    42: "File:Study mountain – Ünïcode 07.jpg",
    43: "File:Study horse 08.jpg",
    45: "File:Study untouched 10.jpg",
    48: "File:Study untouched 11.jpg",
}
OTHER_ITEMS = (5, 42, 90, 243, 515, 726, 4022, 8502, 10884, 11442, 39908, 144786, 13217555)
OTHER_ITEM_PAGES = (*range(6, 12), *range(27, 34))
ADMIN_RIGHTS = (
    *("noratelimit", "move", "move-subpages", "move-rootuserpages", "move-categorypages", "autopatrol", "upload"),
    *("reupload", "reupload-shared", "unwatchedpages", "autoconfirmed", "editsemiprotected", "ipblock-exempt"),
    *("markbotedits", "apihighlimits", "movefile", "suppressredirect", "abusefilter-log-detail", "read", "edit"),
    *("createpage", "createtalk", "abusefilter-view", "abusefilter-log", "item-term", "property-term", "item-merge"),
    *("item-redirect", "property-create", "mediainfo-term", "minoredit", "applychangetags", "changetags"),
    "editcontentmodel",
)


def picture(width: int, height: int) -> bytes:
    """A grey JPEG of this size."""
    out = io.BytesIO()
    Image.new("L", (width, height), 128).save(out, "JPEG")
    return out.getvalue()


def study_world(skip: frozenset[int] = frozenset()) -> World:
    """The recorded wiki's ten files (without `skip`), none with structured data, its people and items."""
    world = World()
    world.thumb_steps = ()
    world.search_works = False
    world.put_person(Person("Tester", "4", registered="20261121012231", editcount=24))
    groups = ("bureaucrat", "interface-admin", "sysop", "*", "user", "autoconfirmed")
    world.put_person(Person("Admin", "1", groups=groups, rights=ADMIN_RIGHTS))
    world.put_person(Person("TestBot", "5", groups=("bot", "*", "user", "autoconfirmed")))
    world.next_revid = 5
    world.set_clock("2026-11-21T01:22:36Z")
    world.add_entity("P180", {"en": "depicts"}, {"en": "property: depicts"}, "wikibase-item", page_id=5)
    world.add_entity("Q146", {"en": "house cat"}, {"en": "domesticated feline"}, page_id=22)
    world.add_entity("Q144", {"en": "dog"}, {"en": "domestic animal"}, page_id=23)
    world.add_entity("Q3947", {"en": "house"}, {"en": "building for habitation"}, page_id=26)
    for page_id, number in zip(OTHER_ITEM_PAGES, OTHER_ITEMS, strict=True):
        world.add_entity(f"Q{number}", {"en": f"item {number}"}, page_id=page_id)
    world.rules.holds_all_items = True
    for page_id, title in FILES.items():
        if page_id not in skip:
            world.next_revid = page_id
            world.add_file(title, picture(640, 480), page_id=page_id, uploader="Tester", wikitext="")
    return world


def put_entity(world: World, recorded: Json) -> None:
    """Give a file the structured data, the revision and the time of a recorded entity."""
    page_id = recorded["pageid"]
    page = world.pages[page_id]
    if page.title != recorded["title"]:
        world.move_file(page_id, recorded["title"], leave_redirect=False)
    world.next_revid = recorded["lastrevid"]
    world.set_clock(recorded["modified"])
    groups = recorded.get("statements") or {}
    statements = [statement_of(one) for group in groups.values() for one in group]
    labels = recorded.get("labels") or {}
    if labels:
        world.set_labels(page_id, {code: label["value"] for code, label in labels.items()})
        if not statements:
            return
    world.next_revid = recorded["lastrevid"]
    world.set_clock(recorded["modified"])
    world.set_statements(page_id, statements)


def statement_of(recorded: Json) -> Statement:
    """The statement that a recorded one says."""
    qualifiers = [
        snak_of(snak) for prop in recorded.get("qualifiers-order", []) for snak in recorded["qualifiers"][prop]
    ]
    return Statement(snak_of(recorded["mainsnak"]), recorded["rank"], tuple(qualifiers), recorded["id"])


def snak_of(recorded: Json) -> Snak:
    """The snak that a recorded one says."""
    if recorded["snaktype"] != "value":
        return Snak(recorded["property"], snaktype=recorded["snaktype"])
    datavalue = recorded["datavalue"]
    return Snak(recorded["property"], datavalue["value"], datavalue["type"])


def put_page_facts(world: World, recorded: Json) -> None:
    """Give a file the picture size, wikitext length and revision of a recorded page."""
    page = world.pages[recorded["pageid"]]
    for info in recorded.get("imageinfo", []):
        if "width" in info and page.file is not None:
            page.file.source = picture(info["width"], info["height"])
        if "timestamp" in info and page.file is not None:
            page.file.uploaded_at = info["timestamp"]
    if "lastrevid" in recorded:
        seed_again(world, page, "x" * recorded["length"])
        if not recorded.get("new"):
            world.next_revid = recorded["lastrevid"]
            world.set_clock(recorded["touched"])
            world.edit_wikitext(page.page_id, "x" * recorded["length"])
        else:
            seed_again(world, page, "x" * recorded["length"], recorded["touched"])


def seed_again(world: World, page: Page, wikitext: str, moment: str | None = None) -> None:
    """Replace a page's history by one first revision, numbered as its id."""
    world.next_revid = page.page_id
    world.set_clock(moment or "2026-11-21T01:22:39Z")
    page.revisions = [world.first_revision(wikitext, "Tester")]


def put_revisions(world: World, recorded: Json) -> None:
    """Give a file the history of a recorded page: ids, people, comments, times, tags and, where told, content."""
    page = world.pages[recorded["pageid"]]
    for revision in sorted(recorded["revisions"], key=lambda one: int(one["revid"])):
        slots = revision.get("slots", {})
        main = slots.get("main", {}).get("content", "x" * 207)
        if revision["parentid"] == 0:
            seed_again(world, page, main, revision["timestamp"])
            continue
        if page.latest.revid != revision["parentid"]:
            world.next_revid = revision["parentid"]
            page.revisions = [world.first_revision(main, "Tester")]
        world.next_revid = revision["revid"]
        world.set_clock(revision["timestamp"])
        said = json.loads(slots["mediainfo"]["content"]) if "mediainfo" in slots else {"statements": {}}
        statements = [statement_of(one) for group in said["statements"].values() for one in group]
        entity = {**EMPTY_SLOT, "statements": statements_json(f"M{page.page_id}", statements)}
        user, comment = revision.get("user", "Tester"), revision.get("comment", "")
        world.set_entity(page.page_id, entity, user, comment, revision.get("tags", ()))
