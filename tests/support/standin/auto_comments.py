"""The words that Wikibase and MediaWiki put before an author's own edit summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.standin.entity_edits import canonical
from tests.support.standin.rules import WikiRules

Json = Mapping[str, Any]
PARTS = ("mainsnak", "rank", "qualifiers", "references")


def said(rules: WikiRules, snak: Json) -> str:
    """A snak as comments tell it: `[[Property:P180]]: [[Q1]]`."""
    value = snak.get("datavalue", {}).get("value", f"{snak['snaktype']}")
    if isinstance(value, Mapping):
        value = rules.link(value["id"]) if "id" in value else value.get("text") or value.get("time", "")
    return f"{rules.link(snak['property'])}: {value}"


def of_create_claim(rules: WikiRules, statement: Json) -> str:
    """`action=wbcreateclaim`."""
    return f"/* wbcreateclaim-create:1| */ {said(rules, statement['mainsnak'])}"


def of_set_claim(rules: WikiRules, before: Json | None, after: Json) -> str:
    """`action=wbsetclaim`: created, or which single part of the statement is new."""
    action = "create"
    if before is not None:
        changed = [part for part in PARTS if canonical(before.get(part) or []) != canonical(after.get(part) or [])]
        single = changed[0] if len(changed) == 1 else "mainsnak"
        action = "update" if single == "mainsnak" else f"update-{single}"
    return f"/* wbsetclaim-{action}:2||1 */ {said(rules, after['mainsnak'])}"


def of_removal(rules: WikiRules, statements: Sequence[Json]) -> str:
    """`action=wbremoveclaims`."""
    listed = ", ".join(said(rules, one["mainsnak"]) for one in statements)
    return f"/* wbremoveclaims-remove:{len(statements)}| */ {listed}"


def of_qualifier(rules: WikiRules, snak: Json, is_new: bool) -> str:
    """`action=wbsetqualifier`."""
    return f"/* wbsetqualifier-{'add' if is_new else 'update'}:1| */ {said(rules, snak)}"


def of_label(language: str, value: str, was_there: bool) -> str:
    """`action=wbsetlabel`."""
    action = "set" if was_there else "add"
    return f"/* wbsetlabel-{action if value else 'remove'}:1|{language} */ {value}".rstrip()


def of_edit_entity(clears: bool) -> str:
    """`action=wbeditentity`, which says nothing of what it changed."""
    return f"/* wbeditentity-{'override' if clears else 'update'}:0| */"


def of_undo(revid: int, username: str) -> str:
    """An edit that takes one revision back."""
    return f"Undid revision {revid} by [[Special:Contributions/{username}|{username}]] ([[User talk:{username}|talk]])"
