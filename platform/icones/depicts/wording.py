"""What an edit says: the statement's rank, boxes and reference, and the summary under which it goes out. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from wiki_sync import DepictsClaim, Reference

LONGEST_SUMMARY = 480
"""Characters; MediaWiki cuts at 500, and its own words stand before ours."""
_MARK = re.compile(r"(?:/|\(batch )([0-9a-f]{12})(?:\||\))[^/]*$")


def claim_of(
    guid: str,
    qid: str,
    *,
    boxes: Sequence[str],
    is_only_species: bool,
    verbatim_name: str,
    box: str,
    based_on: str,
    heuristic: str,
    stated_as: str,
) -> DepictsClaim:
    """Return the statement for one taxon on one file.

    Preferred ("prominent") when the plate shows one species, else normal. ``box`` (P2677), ``based_on`` (P887),
    ``stated_as`` (P5997) are property ids, ``heuristic`` the item for "named by people in a campaign"; an empty one
    leaves its part off, as test wikis may lack it.
    """
    snaks: list[tuple[str, str, str]] = []
    if based_on and heuristic:
        snaks.append((based_on, "item", heuristic))
    if stated_as and verbatim_name.strip():
        snaks.append((stated_as, "string", " ".join(verbatim_name.split())))
    return DepictsClaim(
        guid=guid,
        qid=qid,
        rank="preferred" if is_only_species else "normal",
        boxes=tuple(boxes) if box else (),
        references=(Reference(tuple(snaks)),) if snaks else (),
    )


def kept(claim: DepictsClaim) -> dict[str, Any]:
    """Return a claim as the outbox keeps it (JSON)."""
    return asdict(claim)


def taken_out(kept_claim: Mapping[str, Any]) -> DepictsClaim:
    """Return the claim that ``kept`` made."""
    references = tuple(
        Reference(tuple((str(prop), str(kind), str(value)) for prop, kind, value in one["snaks"]))
        for one in kept_claim["references"]
    )
    return DepictsClaim(
        str(kept_claim["guid"]), str(kept_claim["qid"]), str(kept_claim["rank"]), tuple(kept_claim["boxes"]), references
    )


def summary(campaign: str, mark: str, *, tool_page: str, editgroups: str, is_undo: bool = False) -> str:
    """Return the words under which an edit goes out: what, campaign, tool, and where the whole batch is found."""
    tool = f"[[{tool_page}|Icones]]" if tool_page else "Icones"
    group = f" ([[:toolforge:editgroups-commons/b/{editgroups}/{mark}|details]])" if editgroups else f" (batch {mark})"
    what = "Taking back a depicts statement of" if is_undo else "Depicts, confirmed by people in"
    room = LONGEST_SUMMARY - len(what) - len(tool) - len(group) - len(" the campaign “”, with ")
    title = _plain(campaign)
    if len(title) > room:
        title = title[: room - 1] + "…"
    return f"{what} the campaign “{title}”, with {tool}{group}"


def mark_in(words: str) -> str:
    """Return the batch's mark that a summary of ours carries, "" if there is none."""
    found = _MARK.search(words)
    return found[1] if found else ""


def stop_words(wikitext: str | None) -> str:
    """Return what the stop page says, "" if writing may go on: there is no page, it is empty, or it says "run"."""
    if wikitext is None:
        return ""
    words = wikitext
    while "<!--" in words:
        before, _, rest = words.partition("<!--")
        words = before + rest.partition("-->")[2]
    words = " ".join(words.split())
    return "" if words.lower() in ("", "run") else words[:300]


def is_only_species(n_figures: int, qids_on_file: Collection[str], qid: str) -> bool:
    """Say whether a plate shows this one taxon and nothing else that we or the wiki know of."""
    return n_figures == 1 and not set(qids_on_file) - {qid}


def _plain(title: str) -> str:
    """Return a title without what would be markup in a summary."""
    return " ".join(title.translate(dict.fromkeys(map(ord, "[]{}|<>"), " ")).split())
