"""Items as the wiki that holds them states them now: is it a taxon, under which parents, what does it depict.

For the moment before an edit: a query service may be hours behind. 50 items a call, through `wbgetentities`
(https://www.wikidata.org/w/api.php?action=help&modules=wbgetentities).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from wiki_sync.config import WikiConfig
from wiki_sync.errors import BadAnswerError
from wiki_sync.session import WikiSession

_BATCH = 50
_ID = re.compile(r"[QP][1-9]\d{0,11}")


@dataclass(frozen=True)
class ItemFacts:
    """What an item states. `redirected_to` is the item it was merged into; then the facts are that one's."""

    exists: bool
    is_taxon: bool = False
    parents: tuple[str, ...] = ()
    depicts: frozenset[str] = frozenset()
    redirected_to: str | None = None


class Items:
    """Reads items (and whether properties exist). Holds no state; may be shared by threads."""

    def __init__(self, config: WikiConfig) -> None:
        self._config = config
        self._session = WikiSession(replace(config, api_url=config.items_api_url or config.api_url))

    def facts(self, ids: Collection[str]) -> dict[str, ItemFacts]:
        """Return the facts by the id that was asked for. Raises ValueError for what is no id, and as
        `WikiSession.ask`."""
        wanted = sorted(set(ids))
        wrong = [one for one in wanted if not _ID.fullmatch(one)]
        if wrong:
            raise ValueError(f"not the id of an item or a property: {wrong[0]!r}")
        found: dict[str, ItemFacts] = {}
        for start in range(0, len(wanted), _BATCH):
            part = wanted[start : start + _BATCH]
            answer = self._session.ask(action="wbgetentities", ids="|".join(part), props="info|claims", redirects="yes")
            entities = answer.get("entities")
            if not isinstance(entities, dict):
                raise BadAnswerError("The wiki sent no items where it should have.")
            found |= self._facts_of(part, entities)
        return found

    def _facts_of(self, part: list[str], entities: Mapping[str, Any]) -> dict[str, ItemFacts]:
        # A merged item is answered under the id it has now, which names the one it was asked by.
        merged = {
            entity["redirects"]["from"]: entity
            for entity in entities.values()
            if "from" in (entity.get("redirects") or {})
        }
        return {one: self._fact(one, merged.get(one) or entities.get(one) or {"missing": ""}) for one in part}

    def _fact(self, asked: str, entity: Mapping[str, Any]) -> ItemFacts:
        if "missing" in entity:
            return ItemFacts(exists=False)
        claims = entity.get("claims") or {}  # an empty map is serialised as a list
        now = str(entity.get("id", asked))
        try:
            return ItemFacts(
                exists=True,
                is_taxon=bool(_live(claims, self._config.taxon_name)),
                parents=tuple(_items(claims, self._config.parent_taxon)),
                depicts=frozenset(_items(claims, self._config.depicts)),
                redirected_to=now if now != asked else None,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise BadAnswerError(f"The item {asked} has an unknown form.") from error


def _live(claims: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [one for one in claims.get(name, ()) if one.get("rank", "normal") != "deprecated"]


def _items(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return the items that a property names, preferred statements first, each once."""
    live = sorted(_live(claims, name), key=lambda one: one.get("rank", "normal") != "preferred")
    values = [one["mainsnak"]["datavalue"]["value"] for one in live if one["mainsnak"]["snaktype"] == "value"]
    return list(dict.fromkeys(value["id"] if "id" in value else f"Q{value['numeric-id']}" for value in values))
