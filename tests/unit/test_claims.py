"""Depicts statements as they are written, whether the wiki still says them, and pages that bots must leave alone."""

import copy
import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiki_sync import DepictsClaim, Reference, WikiConfig, claim_json, is_as_written, is_guid, may_edit, new_guid

CONFIG = WikiConfig("https://wiki.example/w/api.php", (), "IconesTest/0.1 (icones@example.org)", Path("state"))
GUID = "M36$0F3A4B2C-1D5E-4F60-8A71-92B3C4D5E6F7"

qids = st.integers(1, 10**9).map(lambda number: f"Q{number}")
percents = st.integers(0, 49)
boxes = st.tuples(percents, percents, st.integers(1, 50), st.integers(1, 50)).map(
    lambda box: "pct:" + ",".join(map(str, box))
)
words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)
snaks = st.one_of(
    st.tuples(st.just("P887"), st.just("item"), qids),
    st.tuples(st.just("P5997"), st.just("string"), words),
    st.tuples(st.just("P854"), st.just("url"), st.just("https://example.org/a?b=1")),
)
references = st.lists(snaks, min_size=1, max_size=4, unique=True).map(lambda said: Reference(tuple(said)))
claims = st.builds(
    DepictsClaim,
    guid=st.just(GUID),
    qid=qids,
    rank=st.sampled_from(["preferred", "normal", "deprecated"]),
    boxes=st.lists(boxes, max_size=3, unique=True).map(tuple),
    references=st.lists(references, max_size=3, unique_by=lambda one: frozenset(one.snaks)).map(tuple),
)


def as_the_wiki_says_it(written: Any, dice: random.Random) -> Any:
    """The same JSON in another order, with hashes and data types, and with empty lists where nothing is said."""
    if isinstance(written, list):
        shuffled = [as_the_wiki_says_it(one, dice) for one in written]
        dice.shuffle(shuffled)
        return shuffled
    if not isinstance(written, dict):
        return written
    parts = [(key, as_the_wiki_says_it(value, dice)) for key, value in written.items()]
    if "snaktype" in written or "snaks" in written:
        parts.append(("hash", hashlib.sha1(json.dumps(written, sort_keys=True).encode()).hexdigest()))
    if "mainsnak" in written and "qualifiers" not in written and dice.random() < 0.5:
        parts.append(("qualifiers", []))
    dice.shuffle(parts)
    return dict(parts)


@given(claims, st.randoms(use_true_random=False))
def test_what_was_written_is_known_again_in_any_order(claim: DepictsClaim, dice: random.Random) -> None:
    written = json.loads(json.dumps(claim_json(CONFIG, claim)))
    assert is_as_written(CONFIG, claim, as_the_wiki_says_it(written, dice))


@given(claims, claims)
def test_two_claims_are_told_apart_exactly_when_they_say_something_else(one: DepictsClaim, other: DepictsClaim) -> None:
    def said(claim: DepictsClaim) -> Any:
        sources = frozenset(frozenset(reference.snaks) for reference in claim.references)
        return claim.qid, claim.rank, frozenset(claim.boxes), sources

    assert is_as_written(CONFIG, one, claim_json(CONFIG, other)) == (said(one) == said(other))


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.update(rank="deprecated"),
        lambda said: said["mainsnak"].update(snaktype="somevalue"),
        lambda said: said["mainsnak"]["datavalue"]["value"].update({"id": "Q1", "numeric-id": 1}),
        lambda said: said["mainsnak"].update(property="P1"),
        lambda said: said.pop("qualifiers"),
        lambda said: said["qualifiers"]["P2677"].append(said["qualifiers"]["P2677"][0]),
        lambda said: said["qualifiers"].update(P518=[{"snaktype": "somevalue", "property": "P518"}]),
        lambda said: said["qualifiers"]["P2677"][0]["datavalue"].update(value="pct:1,1,1,2"),
        lambda said: said["references"].pop(),
        lambda said: said["references"].append(said["references"][0]),
        lambda said: said["references"][0]["snaks"].pop("P887"),
        lambda said: said.update(qualifiers=["of another form"]),
        lambda said: said.pop("mainsnak"),
        lambda said: said.update(mainsnak=None),
    ],
)
def test_what_somebody_changed_is_not_as_written(change: Any) -> None:
    source = Reference((("P887", "item", "Q132907038"), ("P5997", "string", "Plectrophenax nivalis")))
    claim = DepictsClaim(GUID, "Q26416", boxes=("pct:1,1,1,1",), references=(source,))
    statement = copy.deepcopy(claim_json(CONFIG, claim))
    assert is_as_written(CONFIG, claim, statement)
    change(statement)
    assert not is_as_written(CONFIG, claim, statement)


def test_an_item_may_come_with_its_number_only() -> None:
    claim = DepictsClaim(GUID, "Q26416")
    statement = claim_json(CONFIG, claim)
    del statement["mainsnak"]["datavalue"]["value"]["id"]
    assert is_as_written(CONFIG, claim, statement)


def test_text_is_compared_as_the_wiki_stores_it() -> None:
    decomposed = DepictsClaim(GUID, "Q1", references=(Reference((("P5997", "string", "Bo\u0308hmen"),)),))
    composed = DepictsClaim(GUID, "Q1", references=(Reference((("P5997", "string", "B\u00f6hmen"),)),))
    assert claim_json(CONFIG, decomposed) == claim_json(CONFIG, composed)
    assert is_as_written(CONFIG, decomposed, claim_json(CONFIG, composed))


def test_the_wiki_of_the_items_may_be_another_one() -> None:
    assert replace(CONFIG, items_api_url="https://items.example/w/api.php").items_api_url
    with pytest.raises(ValueError, match="web address"):
        replace(CONFIG, items_api_url="items.example")


def test_property_ids_are_settings() -> None:
    config = WikiConfig("https://wiki.example/w/api.php", (), "IconesTest/0.1 (a@b.org)", Path("s"), depicts="P292")
    assert claim_json(config, DepictsClaim(GUID, "Q1"))["mainsnak"]["property"] == "P292"


def test_the_json_is_what_wbsetclaim_documents() -> None:
    source = Reference((("P887", "item", "Q2"), ("P854", "url", "https://example.org/"), ("P887", "item", "Q3")))
    written = claim_json(CONFIG, DepictsClaim(GUID, "Q26416", "preferred", ("pct:10,10.5,40,40",), (source,)))

    def item(name: str, number: int) -> dict[str, Any]:
        value = {"entity-type": "item", "numeric-id": number, "id": f"Q{number}"}
        return {
            "snaktype": "value",
            "property": name,
            "datavalue": {"type": "wikibase-entityid", "value": value},
        }

    def text(name: str, value: str) -> dict[str, Any]:
        return {"snaktype": "value", "property": name, "datavalue": {"type": "string", "value": value}}

    assert written == {
        "type": "statement",
        "id": GUID,
        "rank": "preferred",
        "mainsnak": item("P180", 26416),
        "qualifiers": {"P2677": [text("P2677", "pct:10,10.5,40,40")]},
        "qualifiers-order": ["P2677"],
        "references": [
            {
                "snaks": {"P887": [item("P887", 2), item("P887", 3)], "P854": [text("P854", "https://example.org/")]},
                "snaks-order": ["P887", "P854"],
            }
        ],
    }


@pytest.mark.parametrize(
    "claim",
    [
        DepictsClaim("M36$", "Q1"),
        DepictsClaim(f"{GUID}|{GUID}", "Q1"),
        DepictsClaim(GUID.replace("M36", "Q36"), "Q1"),
        DepictsClaim(GUID, "Q0"),
        DepictsClaim(GUID, "26416"),
        DepictsClaim(GUID, "L1"),
        DepictsClaim(GUID, "Q1\n"),
        DepictsClaim(GUID, "Q1", "best"),
        DepictsClaim(GUID, "Q1", boxes=("10,10,40,40",)),
        DepictsClaim(GUID, "Q1", boxes=("pct:10,10,0,40",)),
        DepictsClaim(GUID, "Q1", boxes=("pct:70,10,40,40",)),
        DepictsClaim(GUID, "Q1", boxes=("pct:10,10,40,40", "pct:10,10,40,40")),
        DepictsClaim(GUID, "Q1", references=(Reference(()),)),
        DepictsClaim(GUID, "Q1", references=(Reference((("P854", "url", "javascript:alert(1)"),)),)),
        DepictsClaim(GUID, "Q1", references=(Reference((("P854", "url", "https://a b/"),)),)),
        DepictsClaim(GUID, "Q1", references=(Reference((("P5997", "string", ""),)),)),
        DepictsClaim(GUID, "Q1", references=(Reference((("P5997", "string", " a"),)),)),
        DepictsClaim(GUID, "Q1", references=(Reference((("P5997", "string", "a\tb"),)),)),
        DepictsClaim(GUID, "Q1", references=(Reference((("P5997", "string", "a" * 1501),)),)),
        DepictsClaim(GUID, "Q1", references=(Reference((("P5997", "text", "a"),)),)),
        DepictsClaim(GUID, "Q1", references=(Reference((("5997", "string", "a"),)),)),
        DepictsClaim(
            GUID, "Q1", references=(Reference((("P887", "item", "Q1"),)), Reference((("P887", "item", "Q1"),)))
        ),
    ],
)
def test_what_no_wiki_would_take_is_refused(claim: DepictsClaim) -> None:
    with pytest.raises(ValueError):
        claim_json(CONFIG, claim)
    with pytest.raises(ValueError):
        is_as_written(CONFIG, claim, {})


def test_new_ids_are_of_the_form_and_never_the_same() -> None:
    made = {new_guid("M36") for _ in range(100)}
    assert len(made) == 100
    assert all(is_guid(one) and one.startswith("M36$") and one == one.upper() for one in made)
    for wrong in ("", "36", "Q36", "M0", "M36$", "M36\n"):
        with pytest.raises(ValueError):
            new_guid(wrong)


# ---- {{bots}} and {{nobots}}, as https://en.wikipedia.org/wiki/Template:Bots lists them

NAMES = st.text(st.sampled_from("abcXYZ é_"), min_size=1, max_size=12).filter(
    lambda name: name.strip("_ ").casefold() not in ("", "all", "none")
)


@pytest.mark.parametrize(
    ("wikitext", "may"),
    [
        ("", True),
        ("== Summary ==\nRobots and bots.", True),
        ("{{bots}}", True),
        ("{{nobots}}", False),
        ("{{Nobots}}", False),
        ("{{ NOBOTS }}", False),
        ("{{Template:nobots}}", False),
        ("{{bots|allow=all}}", True),
        ("{{bots|allow=none}}", False),
        ("{{bots|allow=}}", False),
        ("{{bots|deny=all}}", False),
        ("{{bots|deny=none}}", True),
        ("{{bots|deny=}}", True),
        ("{{bots|allow=Other bot}}", False),
        ("{{bots|allow=Other bot, Icones bot}}", True),
        ("{{bots|allow=Other bot,icones_bot}}", True),
        ("{{bots|deny=Other bot}}", True),
        ("{{bots|deny=Other bot,  ICONES BOT }}", False),
        ("{{bots|deny=User:Icones bot}}", False),
        ("{{bots|deny=Icones bot 2}}", True),
        ("{{bots|deny=all|allow=Icones bot}}", True),
        ("{{bots|allow=all|deny=Icones bot}}", False),
        ("{{nobots|allow=Icones bot}}", True),
        ("{{nobots|deny=Other bot}}", False),
        ("{{bots|optout=all}}", True),
        ("{{bots|optout=Icones bot}}", True),
        ("{{bots}} and {{bots|deny=Icones bot}}", False),
        ("<nowiki>{{nobots}}</nowiki>", True),
        ("<!-- {{nobots}} -->", True),
        ("{{nobots<!-- since 2009 -->}}", False),
        ("{{Information|description={{nobots}}}}", False),
        ("{{bots lore}} {{robots}}", True),
        ("{{nobots", True),
    ],
)
def test_a_page_says_whether_the_bot_may_edit(wikitext: str, may: bool) -> None:
    assert may_edit(wikitext, "Icones bot") is may
    assert may_edit(f"{{{{Information|a=b}}}}\n{wikitext}\n[[Category:Plates]]", "icones_bot") is may


@given(st.lists(NAMES, min_size=1, max_size=4), st.data())
def test_a_list_names_its_bots_however_they_are_spelled(listed: list[str], data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(listed))
    spelled = data.draw(st.sampled_from([one, one.upper(), one.replace(" ", "_"), one.replace("_", " ")]))
    assert not may_edit(f"{{{{bots|deny={','.join(listed)}}}}}", spelled)
    assert may_edit(f"{{{{bots|allow={','.join(listed)}}}}}", spelled)
    assert may_edit(f"{{{{bots|deny={','.join(listed)}}}}}", "Nobody of this list")
    assert not may_edit(f"{{{{bots|allow={','.join(listed)}}}}}", "Nobody of this list")


@given(st.text(st.sampled_from("{}|=[]<>!-/ nobtsacwik\n"), max_size=60))
def test_no_wikitext_is_too_broken_to_be_judged(wikitext: str) -> None:
    assert may_edit(wikitext, "Icones bot") in (True, False)
