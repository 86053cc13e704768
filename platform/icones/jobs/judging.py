"""What a decision about an edit must know beyond the file itself; used by the push and by the look before it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from icones.config import Settings
from icones.db import Database
from icones.depicts import wording
from icones.depicts.decide import Decision, Page, Step, Wanted, decide_add, decide_remove
from icones.depicts.sending import Taken
from icones.models import EditAction, EditState
from icones.taxa import queries as taxa
from icones.taxa import service as taxon_service
from wiki_sync import DepictsClaim, ItemFacts, Items, LiveFile, WikiConfig, claim_json, is_as_written, may_edit

DEEPEST = 60
"""Steps up a lineage before we believe that the items go in circles."""


class Surroundings:
    """What a decision must know beyond the file: lineages, the item of the work, which properties the wiki has."""

    def __init__(self, settings: Settings, database: Database, config: WikiConfig) -> None:
        self._settings = settings
        self._config = config
        self._database = database
        self._items = Items(config)
        self._known: dict[str, ItemFacts] = {}
        self._lines: dict[str, tuple[str, ...]] = {}
        self._properties: dict[str, str] | None = None

    def decide(self, taken: Taken, live: LiveFile, account: str) -> tuple[Decision, DepictsClaim | None]:
        """Return what is to be done about an edit, and the statement to add, if one is. Raises WikiError."""
        page = self.page(live, account)
        if taken.action is EditAction.REMOVE:
            claim = wording.taken_out(taken.kept_claim)
            stated = live.statements.get(self._config.depicts, ())
            found = next((one for one in stated if one["id"] == taken.guid), None)
            same = found is not None and is_as_written(self._config, claim, found)
            return decide_remove(found, same, page), None
        live_qids = {one.qid for one in page.depicts if one.qid and one.rank != "deprecated"}
        qid = self._current([taken.qid])[taken.qid]
        wanted = Wanted(taken.guid, qid, taken.insists, taken.was_taken_away, taken.leaving)
        lineages = self.lineages({qid, *live_qids, *page.said_of_work})
        decision = decide_add(wanted, page, lineages)
        if decision.step is Step.END:
            return decision, None
        there = self.properties()
        claim = wording.claim_of(
            taken.guid,
            taken.qid,
            boxes=taken.boxes,
            is_only_species=wording.is_only_species(taken.n_figures, live_qids & lineages.keys(), qid),
            verbatim_name=taken.verbatim_name,
            heuristic=self._settings.heuristic_item,
            **there,
        )
        try:
            claim_json(self._config, claim)
        except ValueError as error:
            return Decision(Step.END, EditState.REFUSED, f"It cannot be said on the wiki: {error}."), None
        return decision, claim

    def properties(self) -> Mapping[str, str]:
        """Return the properties for box, source and verbatim name that the wiki has; "" where one is missing."""
        if self._properties is None:
            wanted = {
                "box": self._settings.box_property,
                "stated_as": self._settings.stated_as_property,
                "based_on": self._settings.based_on_property,
            }
            there = self._items.facts({one for one in wanted.values() if one})
            self._properties = {use: one if one and there[one].exists else "" for use, one in wanted.items()}
        return self._properties

    def page(self, live: LiveFile, account: str) -> Page:
        """Return the file as the decision sees it. Raises WikiError where the item of the work cannot be asked."""
        work = live.represents[0] if live.represents else None
        said = self._facts([work])[work].depicts if work else frozenset()
        # An item that was merged means the one it lives on in, whoever stated it.
        now = self._current({one.qid for one in live.depicts if one.qid} | said)
        return Page(
            exists=live.exists,
            is_redirect=live.is_redirect,
            depicts=tuple(replace(one, qid=now[one.qid]) if one.qid else one for one in live.depicts),
            asks_to_be_left=not may_edit(live.wikitext, account),
            work=work,
            said_of_work=frozenset(now[one] for one in said),
        )

    def _current(self, qids: Collection[str]) -> dict[str, str]:
        with self._database.reading() as session:
            return taxon_service.current(session, qids)

    def lineages(self, qids: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return the lineages of those items that are taxa: from our tables, else from the wiki, step by step.

        The wiki is asked, not a query service: what somebody stated a minute ago counts. Raises WikiError.
        """
        unknown = [qid for qid in qids if qid not in self._lines]
        with self._database.reading() as session:
            self._lines |= taxa.lineages(session, unknown)
        for qid in unknown:
            if qid not in self._lines:
                self._lines[qid] = self._climb(qid)
        return {qid: self._lines[qid] for qid in qids if self._lines[qid]}

    def _climb(self, qid: str) -> tuple[str, ...]:
        """Return the lineage of an item we do not keep, () if it is no taxon; all its parents are followed."""
        line: list[str] = []
        level: Sequence[str] = [qid]
        for _ in range(DEEPEST):
            facts = self._facts(level)
            level = [one for one in level if one not in line and facts[one].is_taxon]
            line += level
            above = dict.fromkeys(parent for one in level for parent in facts[one].parents if parent not in line)
            with self._database.reading() as session:
                kept = taxa.lineages(session, list(above))
            line += [one for known in kept.values() for one in known if one not in line]
            level = [one for one in above if one not in kept]
            if not level:
                break
        return tuple(line)

    def _facts(self, qids: Sequence[str]) -> dict[str, ItemFacts]:
        new = [qid for qid in qids if qid not in self._known]
        if new:
            self._known |= self._items.facts(new)
        return {qid: self._known[qid] for qid in qids}
