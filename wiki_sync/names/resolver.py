"""The chain: a written name is cleaned, looked up in Wikidata, then in GBIF, the Catalogue of Life and WoRMS.

Each catalogue is asked only for what the ones before did not know. A match there counts when it leads to exactly one
item of Wikidata. A catalogue that is down is left alone for the rest of the run: names that need it come back open and
not complete, to be asked again later.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from wiki_sync.config import WikiConfig
from wiki_sync.errors import BadAnswerError, QueryRefusedError, WikiError
from wiki_sync.names import rules
from wiki_sync.names.answers import NOTHING, Match, MatchKind, Usage
from wiki_sync.names.authors import may_agree
from wiki_sync.names.cleaning import CleanName, clean
from wiki_sync.names.rules import Scope
from wiki_sync.names.services import NameClient, NameServices
from wiki_sync.names.wikidata import OldName, by_identifier, in_use, old_names
from wiki_sync.taxa import TaxonSource
from wiki_sync.taxon import TaxonFacts

MOST_CANDIDATES = 8
MOST_REFUSED = 5
"""Answers that cannot be read, or refusals, before a catalogue counts as down."""
_HOPS = 3
_UNKNOWN = (MatchKind.NONE, MatchKind.HIGHER_RANK)


@dataclass(frozen=True)
class Candidate:
    """What a name may mean. `qid` is None where Wikidata has no item for it; `source` as `Resolution.matcher`."""

    qid: str | None
    name: str
    authorship: str
    rank: str
    source: str
    above: str
    """A few taxa above it, for telling homonyms apart."""


@dataclass(frozen=True)
class Resolution:
    """What became of one written name.

    `qid` is None for an open one; `note` then says why. `matcher` is wikidata, gbif, col or worms: who was trusted, or
    whose answer is noted. `is_complete` is False if somebody who should have been asked did not answer.
    """

    verbatim: str
    cleaned: str
    qid: str | None = None
    matcher: str = ""
    version: str = ""
    match_type: str = ""
    confidence: int | None = None
    matched_name: str = ""
    accepted_name: str = ""
    candidates: tuple[Candidate, ...] = ()
    note: str = ""
    is_complete: bool = True


@dataclass(frozen=True)
class Resolved:
    """The answers for some names, and the facts of all taxa in them with all above these."""

    names: Mapping[str, Resolution]
    facts: Mapping[str, TaxonFacts]


@dataclass
class _Work:
    """One name on its way through the chain."""

    name: CleanName
    qid: str | None = None
    maybe: str | None = None
    """Wikidata's one answer, until GBIF was heard whether another taxon bears the name."""
    matcher: str = ""
    match_type: str = ""
    confidence: int | None = None
    matched_name: str = ""
    note: str = ""
    is_open: bool = True
    is_complete: bool = True
    knows: list[MatchKind] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)

    def wait(self, why: str) -> None:
        """Stop here: somebody did not answer."""
        self.note, self.is_open, self.is_complete = why, False, False

    def settle(self, qid: str) -> None:
        """The name is matched."""
        self.qid, self.note, self.is_open = qid, "", False


class NameResolver:
    """Asks for names; for one thread and one run, closed at the end (it is a context manager).

    What a catalogue said of a name is asked once in its life.
    """

    def __init__(self, config: WikiConfig, services: NameServices, scope: Scope | None = None) -> None:
        self._config = config
        self._services = services
        self._scope = scope or Scope()
        self._source = TaxonSource(config)
        self._client = NameClient(config, services)
        self._down: dict[str, str] = {}
        self._refused: dict[str, int] = {}
        self._said_no: dict[str, str] = {}
        self._heard: dict[tuple[str, str], Match] = {}
        self._kingdom: str | None = None
        self._facts: dict[str, TaxonFacts] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def down(self) -> Mapping[str, str]:
        """Who did not answer in this run, and what went wrong."""
        return dict(self._down)

    def resolve(self, verbatim: Iterable[str]) -> Resolved:
        """Return the answer for each written name. Raises nothing for a service that fails: see `down`."""
        self._facts = {}
        works = [_Work(clean(written)) for written in dict.fromkeys(verbatim)]
        for work in works:
            work.is_open, work.note = bool(work.name.name), rules.first_doubt(work.name)
        self._guarded(["wikidata"], works, self._ask_wikidata)
        for matcher, url in (
            ("gbif", self._services.gbif_url),
            ("col", self._services.col_url),
            ("worms", self._services.worms_url),
        ):
            asking = [work for work in works if work.is_open and self._asks(work, matcher)]
            if url and asking:
                self._guarded(["wikidata", matcher], asking, partial(self._ask_catalogue, matcher))
            for work in asking if not url else ():
                self._without(work)
        return Resolved({work.name.verbatim: self._resolution(work) for work in works}, self._facts)

    def _guarded(self, needs: Sequence[str], works: Sequence[_Work], step: Callable[[list[_Work]], None]) -> None:
        """Take a step with the names that are still open; if who it needs is down, they wait for the next run.

        What a catalogue fails at is handled where it is asked, so that an error here is Wikidata's.
        """
        asking = [work for work in works if work.is_open]
        silent = next((who for who in needs if who in self._down), "")
        if not silent and asking:
            try:
                step(asking)
            except WikiError as error:
                silent, self._down["wikidata"] = "wikidata", str(error)
        if silent:
            for work in asking:
                if work.is_open:
                    work.wait(self._silence(silent))

    def _silence(self, who: str) -> str:
        why = self._down.get(who) or self._said_no[who]
        return f"{_SHOWN[who]} did not answer; it is asked again in the next run. {why}"[:500]

    def _without(self, work: _Work) -> None:
        """Go on without a catalogue that is not set."""
        if work.maybe is not None:
            work.is_open, work.maybe = False, None
            work.note = "Nobody could check whether another taxon bears this name too."

    def _asks(self, work: _Work, matcher: str) -> bool:
        if matcher == "gbif":
            return True
        if not work.name.is_clear:
            return False
        return matcher == "col" or self._scope.marine or all(kind in _UNKNOWN for kind in work.knows)

    # Wikidata

    def _ask_wikidata(self, works: list[_Work]) -> None:
        spellings = {form for work in works for form in work.name.spellings}
        bearers = self._bearers(spellings)
        groups = self._in_use({qid for qids in bearers.values() for qid in qids})
        self._learn({*groups, *(qid for group in groups.values() for qid in group)})
        for work in works:
            found = {qid: groups[qid] for form in work.name.spellings for qid in bearers.get(form, ())}
            if not found:
                continue
            work.matcher = "wikidata"
            work.matched_name = next(form for form in work.name.spellings if bearers.get(form))
            decision = rules.of_wikidata(work.name, found, self._facts, self._scope)
            work.note = decision.why
            work.candidates = [self._candidate(qid) for qid in sorted({q for group in found.values() for q in group})]
            if decision.qid is None:
                work.is_open = False
                continue
            work.match_type = "name" if decision.qid in found else "synonym"
            if rules.needs_second_opinion(work.name, found, self._facts, self._scope):
                work.maybe = decision.qid
            else:
                work.settle(decision.qid)

    def _bearers(self, names: Collection[str]) -> dict[str, frozenset[str]]:
        """Return the items that bear each name now."""
        found = self._source.by_name(sorted(names)) if names else {}
        return {name: frozenset(one.qid for one in hits if one.how == "name") for name, hits in found.items()}

    def _in_use(self, qids: Collection[str]) -> dict[str, frozenset[str]]:
        """Return for each item the taxa in use in whose place it stands, some steps further on."""
        known: dict[str, OldName] = {}
        todo = set(qids)
        for _ in range(_HOPS):
            if not todo:
                break
            known |= old_names(self._config, todo)
            todo = {one for old in known.values() for one in old.synonym_of | old.first_name_of} - known.keys()
        return {qid: in_use(qid, known) for qid in qids}

    def _learn(self, qids: Collection[str]) -> None:
        """Bring in the facts of these taxa and all above them."""
        new = set(qids) - self._facts.keys()
        root = self._scope.root_qid
        if root and self._kingdom is None:
            self._kingdom = ""
            new.add(root)
        if new:
            self._facts |= self._source.lineages(sorted(new))
        if root in self._facts and not self._kingdom:
            above = rules.line(self._facts, root)
            self._kingdom = next((one.scientific_name for one in above if one.rank == "kingdom"), "")

    # The catalogues

    def _ask_catalogue(self, matcher: str, works: list[_Work]) -> None:
        heard = self._hear(matcher, works)
        keys = {one.key for match in heard.values() for one in rules.usages(match)}
        keyed = self._by_key(matcher, keys)
        named = self._bearers({match.accepted.name for match in heard.values() if match.accepted})
        groups = self._in_use({qid for found in (*keyed.values(), *named.values()) for qid in found})
        by_key = {key: frozenset(one for qid in qids for one in groups[qid]) for key, qids in keyed.items()}
        by_name = {name: frozenset(one for qid in qids for one in groups[qid]) for name, qids in named.items()}
        self._learn({qid for group in groups.values() for qid in group})
        for work in works:
            match = heard.get(work.name.name)
            if match is None:
                work.wait(self._silence(matcher))
            elif work.maybe is not None:
                self._hear_out(work, match, by_key)
            else:
                self._judge(matcher, work, match, by_key, by_name)

    def _hear(self, matcher: str, works: Sequence[_Work]) -> dict[str, Match]:
        """Return what a catalogue says of each name; those that it did not answer for are absent."""
        wanted = sorted({work.name.name for work in works})
        new = [name for name in wanted if (matcher, name) not in self._heard]
        for part in [new] if matcher == "worms" and new else [[name] for name in new]:
            try:
                said = self._asked(matcher, part)
            except (BadAnswerError, QueryRefusedError) as error:
                # Perhaps only these names are too much for it: the others are asked still, unless it goes on so.
                self._refused[matcher] = self._refused.get(matcher, 0) + 1
                self._said_no[matcher] = str(error)
                if self._refused[matcher] < MOST_REFUSED:
                    continue
                self._down[matcher] = str(error)
                break
            except WikiError as error:
                self._down[matcher] = str(error)
                break
            self._heard |= {(matcher, name): said.get(name, NOTHING) for name in part}
        return {name: self._heard[matcher, name] for name in wanted if (matcher, name) in self._heard}

    def _asked(self, matcher: str, names: Sequence[str]) -> dict[str, Match]:
        if matcher == "worms":
            return self._client.worms(names)
        ask = self._client.gbif if matcher == "gbif" else self._client.col
        return {name: ask(name, self._kingdom or "") for name in names}

    def _by_key(self, matcher: str, keys: Collection[str]) -> dict[str, frozenset[str]]:
        """Return the items of each key; keys of GBIF that are no numbers are those of the Catalogue of Life."""
        found: dict[str, frozenset[str]] = {}
        for kind in ("gbif", "col", "worms"):
            part = {key for key in keys if kind == ("col" if matcher == "gbif" and not key.isdecimal() else matcher)}
            if part:
                found |= by_identifier(self._config, kind, part)
        return found

    def _hear_out(self, work: _Work, match: Match, by_key: Mapping[str, frozenset[str]]) -> None:
        """End the question whether another taxon bears the name too."""
        decision = rules.second_opinion(work.name, work.maybe or "", match, self._facts)
        work.maybe = None
        if decision.qid:
            work.settle(decision.qid)
            return
        work.note, work.is_open = decision.why, False
        self._propose("gbif", work, match, by_key)

    def _judge(
        self,
        matcher: str,
        work: _Work,
        match: Match,
        by_key: Mapping[str, frozenset[str]],
        by_name: Mapping[str, frozenset[str]],
    ) -> None:
        work.knows.append(match.kind)
        self._propose(matcher, work, match, by_key)
        decision = rules.trusted(work.name, match)
        good, placed = decision.qid is not None, False
        if good and match.accepted is not None:
            keyed, named = by_key.get(match.accepted.key, frozenset()), by_name.get(match.accepted.name, frozenset())
            decision = rules.place(match, keyed, named, self._facts, self._scope)
            placed = bool(keyed or named)
        if match.kind not in _UNKNOWN or not work.matcher:
            work.matcher, work.match_type, work.confidence = matcher, match.said, match.confidence
            work.matched_name = match.usage.name if match.usage and match.kind not in _UNKNOWN else ""
            work.note = decision.why
        if decision.qid:
            work.settle(decision.qid)
        elif match.kind is MatchKind.AMBIGUOUS or (match.kind is MatchKind.EXACT and (placed or not good)):
            work.is_open = False  # it is known there, and not certain: the next catalogue would only hide that

    def _propose(self, matcher: str, work: _Work, match: Match, by_key: Mapping[str, frozenset[str]]) -> None:
        """Keep what a catalogue speaks of as candidates; of a higher rank too, as a hint."""
        above = " · ".join((match.lineage or {}).values())
        for usage in rules.usages(match):
            qids = sorted(qid for qid in by_key.get(usage.key, ()) if qid in self._facts)
            known = {one.qid for one in work.candidates if one.qid}
            work.candidates += [self._candidate(qid, matcher) for qid in qids if qid not in known]
            if not qids and not any(_is_same(one.name, one.authorship, usage) for one in work.candidates):
                work.candidates.append(
                    Candidate(None, usage.name, usage.authorship, usage.rank, matcher, usage.above or above)
                )

    def _candidate(self, qid: str, source: str = "wikidata") -> Candidate:
        one = self._facts[qid]
        above = [taxon.scientific_name for taxon in rules.line(self._facts, qid)[1:] if taxon.rank in _TOLD]
        return Candidate(
            qid, one.scientific_name, one.authorship or "", one.rank or "", source, " · ".join(reversed(above))
        )

    def _resolution(self, work: _Work) -> Resolution:
        version = ""
        if work.matcher == "wikidata":
            version = urlsplit(self._config.sparql_urls[0]).netloc if self._config.sparql_urls else ""
        elif work.matcher:
            version = self._services.version(work.matcher)
        accepted = self._facts[work.qid].scientific_name if work.qid else ""
        note = "" if work.qid else work.note or "No catalogue knows this name."
        shown = sorted(work.candidates, key=lambda one: one.qid is None)[:MOST_CANDIDATES]
        return Resolution(
            work.name.verbatim,
            work.name.name,
            work.qid,
            work.matcher,
            version,
            work.match_type,
            work.confidence,
            work.matched_name,
            accepted,
            () if work.qid else tuple(shown),
            note,
            work.is_complete,
        )


def _is_same(name: str, authorship: str, usage: Usage) -> bool:
    """Return whether a candidate and a catalogue's usage are one name of one author: it is shown once."""
    return name == usage.name and may_agree(authorship, usage.authorship) is True


_SHOWN = {"wikidata": "Wikidata", "gbif": "GBIF", "col": "The Catalogue of Life", "worms": "WoRMS"}
_TOLD = ("kingdom", "class", "order", "family", "genus")
