"""When a taxon may be taken for a written name without a person. Pure; the one place where this is decided.

Wrong is worse than unknown: each rule looks for a reason to say no, and says it in words for the curator.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from wiki_sync.names.answers import Match, MatchKind, Usage
from wiki_sync.names.authors import may_agree
from wiki_sync.names.cleaning import CleanName, Doubt, n_words
from wiki_sync.taxon import TaxonFacts

SURE_EXACT = 80
SURE_EXACT_ABOVE_SPECIES = 90
SURE_VARIANT = 95
"""Confidence that GBIF must have, by its own advice and ours (0 to 100)."""
SLIPS = 2
"""Letters in which another spelling may differ."""
TELLING_RANKS = ("family", "order", "class")
"""One of these must be the same before a bare name is taken for the same taxon."""

DOUBTS: Mapping[Doubt, str] = {
    Doubt.EMPTY: "This does not look like a scientific name.",
    Doubt.UNCERTAIN: "The source itself was not sure (?, cf., aff.).",
    Doubt.OPEN: "The source names no species, or a rank without a name (sp., var.).",
    Doubt.HYBRID: "This is a formula of two parents.",
    Doubt.CULTIVAR: "This is a garden form.",
    Doubt.POLYNOMIAL: "This is a phrase of many words, from before names had two.",
    Doubt.OLD: "This name is older than the names of today.",
    Doubt.SENSE: "The name is used in another sense than its author’s (sensu, auct., non), or is no proper name.",
    Doubt.ABBREVIATED: "The genus is only an initial.",
    Doubt.UNREAD: "Words are left over that are neither name nor author.",
}
Facts = Mapping[str, TaxonFacts]


@dataclass(frozen=True)
class Scope:
    """What a campaign is about: its root taxon ("" for all of life), and whether it lives in the sea."""

    root_qid: str = ""
    marine: bool = False


@dataclass(frozen=True)
class Decision:
    """The taxon that a name means, or None and why, in words."""

    qid: str | None
    why: str = ""


def first_doubt(name: CleanName) -> str:
    """Return the first reason to doubt what was read, in words; "" for a clear name."""
    return next((words for doubt, words in DOUBTS.items() if doubt in name.doubts), "")


def line(facts: Facts, qid: str) -> list[TaxonFacts]:
    """Return a taxon and all above it, as far as known, itself first."""
    found: list[TaxonFacts] = []
    here = facts.get(qid)
    while here is not None and here not in found:
        found.append(here)
        here = facts.get(here.parent_qid or "")
    return found


def is_inside(facts: Facts, qid: str, scope: Scope) -> bool:
    """Return whether a taxon lies within the scope."""
    return not scope.root_qid or any(one.qid == scope.root_qid for one in line(facts, qid))


def of_wikidata(name: CleanName, bearers: Mapping[str, Collection[str]], facts: Facts, scope: Scope) -> Decision:
    """Decide by the items that bear a name exactly: each with the taxa in use in whose place it stands."""
    in_use = {qid for group in bearers.values() for qid in group}
    inside = sorted(qid for qid in in_use if qid in facts and is_inside(facts, qid, scope))
    if not inside:
        return Decision(None, "The taxon of this name lies outside what this campaign is about.")
    if len(inside) > 1:
        return Decision(None, "Several taxa bear this name.")
    if not name.is_clear:
        return Decision(None, first_doubt(name))
    signed = [facts[item].authorship for item, group in bearers.items() if inside[0] in group and item in facts]
    if any(may_agree(name.authorship, known or "") is False for known in signed):
        return Decision(None, f"The source names another author ({name.authorship}) than Wikidata does.")
    return Decision(inside[0])


def needs_second_opinion(name: CleanName, items: Collection[str], facts: Facts, scope: Scope) -> bool:
    """Return whether a name could as well be another taxon's of which Wikidata does not know.

    Names are used twice more often than one thinks: in two kingdoms (Prunella, a herb and a bird), or in one
    (Tethyidae). A scope rules that out, and so does an author on whom the source and Wikidata agree. An author whom
    Wikidata cannot confirm is a reason to ask in any case.
    """
    if any(may_agree(name.authorship, facts[item].authorship or "") for item in items if item in facts):
        return False
    return not scope.root_qid or bool(may_agree(name.authorship, name.authorship))


def second_opinion(name: CleanName, qid: str, match: Match, facts: Facts) -> Decision:
    """Decide whether GBIF's answer leaves Wikidata's taxon without a rival."""
    if match.kind in (MatchKind.NONE, MatchKind.HIGHER_RANK, MatchKind.VARIANT):
        return Decision(qid)  # nothing there has this very name
    if (match.lineage or {}).get("kingdom") == "Viruses":
        return Decision(qid)  # viruses are called after their hosts, and their names follow a code of their own
    if match.kind is not MatchKind.EXACT or not agrees(facts, qid, match):
        return Decision(None, "GBIF knows this name for something else too.")
    if match.usage and may_agree(name.authorship, match.usage.authorship) is False:
        return Decision(None, f"The source names another author than GBIF does ({match.usage.authorship}).")
    return Decision(qid)


def trusted(name: CleanName, match: Match) -> Decision:
    """Decide whether a catalogue's match is good enough to look for its taxon; the qid stays empty then."""
    usage = match.usage
    if not name.is_clear:
        return Decision(None, first_doubt(name))
    if match.kind is MatchKind.AMBIGUOUS:
        return Decision(None, "Several taxa may be meant, and the catalogue does not choose.")
    if match.kind in (MatchKind.NONE, MatchKind.HIGHER_RANK) or usage is None:
        return Decision(None, "No catalogue knows this name.")
    if not match.is_in_order or match.accepted is None:
        return Decision(None, f"The catalogue has this name as “{usage.status or 'without an accepted name'}”.")
    if n_words(usage.name) != name.n_words:
        return Decision(None, "The catalogue knows only a name of another rank.")
    if may_agree(name.authorship, usage.authorship) is False:
        return Decision(None, f"The source names another author than the catalogue ({usage.authorship}).")
    exact = match.kind is MatchKind.EXACT and _plain(usage.name) == _plain(name.name)
    if exact:
        needed = SURE_EXACT_ABOVE_SPECIES if name.n_words == 1 else SURE_EXACT
        sure = match.confidence is None or match.confidence >= needed
    else:
        sure = (match.confidence or 0) >= SURE_VARIANT and is_slip(name, usage.name)
    return Decision("", "") if sure else Decision(None, "The spelling differs, or the catalogue is not sure.")


def is_slip(name: CleanName, other: str) -> bool:
    """Return whether another spelling differs so little that it is a slip: two letters in a name of two words or more,
    none of them the first of a word; never where capitals had to be mended."""
    if name.exact_only or name.n_words < 2:
        return False
    ours, theirs = _plain(name.name).split(), _plain(other).split()
    if len(ours) != len(theirs) or any(one[0] != two[0] for one, two in zip(ours, theirs, strict=True)):
        return False
    return sum(_distance(one, two) for one, two in zip(ours, theirs, strict=True)) <= SLIPS


def place(match: Match, by_key: Collection[str], by_name: Collection[str], facts: Facts, scope: Scope) -> Decision:
    """Decide which item a catalogue's accepted taxon is: by its identifier, else by its name and lineage.

    `by_key` bear the identifier, `by_name` the accepted name. Two items, or an item by key and another by name, are
    not told apart.
    """
    keyed = {qid for qid in by_key if qid in facts}
    named = {qid for qid in by_name if qid in facts}
    alike = {qid for qid in named if agrees(facts, qid, match)}
    if len(keyed) > 1:
        return Decision(None, "Several items of Wikidata have this catalogue’s key.")
    if keyed:
        (qid,) = keyed
        if alike - keyed:
            return Decision(None, "Wikidata has one item with this key and another with this name.")
        if clashes(facts, qid, match):
            return Decision(None, "Wikidata puts this taxon elsewhere than the catalogue does.")
    elif len(alike) == 1 and len(named) == 1:
        (qid,) = alike
    else:
        words = "Wikidata has no item for this taxon yet." if not named else "Several items may be this taxon."
        return Decision(None, words)
    if not is_inside(facts, qid, scope):
        return Decision(None, "The taxon of this name lies outside what this campaign is about.")
    return Decision(qid)


def agrees(facts: Facts, qid: str, match: Match) -> bool:
    """Return whether both lie in the same family, order or class, and in no other kingdom."""
    if clashes(facts, qid, match):
        return False
    ours = {one.scientific_name for one in line(facts, qid)}
    lineage = match.lineage or {}
    high = match.accepted.rank if match.accepted and match.accepted.rank in ("phylum", "kingdom") else ""
    return any(lineage.get(rank) in ours for rank in (*TELLING_RANKS, high))


def clashes(facts: Facts, qid: str, match: Match) -> bool:
    """Return whether both name a kingdom, and not the same."""
    theirs = (match.lineage or {}).get("kingdom")
    ours = next((one.scientific_name for one in line(facts, qid) if one.rank == "kingdom"), None)
    return bool(theirs and ours and theirs != ours)


def usages(match: Match) -> list[Usage]:
    """Return all that a catalogue's answer speaks of, the best first, each once."""
    found = [match.accepted, match.usage, *match.others]
    return list({one.key: one for one in found if one is not None}.values())


def _plain(name: str) -> str:
    words = (word for word in re.sub(r"[×]", " ", name.lower()).split() if not word.endswith(".") and word != "x")
    return " ".join(words)


def _distance(one: str, other: str) -> int:
    """Return the Levenshtein distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row = row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
    return row[-1]
