"""Reading entities: wbgetentities, wbgetclaims, wbsearchentities.

Media entities come from the MediaInfo slots, items and properties from the world, and taxa from the SPARQL store
(names and a few statements). Writing modules belong in a file beside this one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tests.support.standin.answers import ApiFailure, ApiRequest
from tests.support.standin.statements import Statement, item, statements_json, text
from tests.support.standin.taxa import ID_PROPERTIES, RANKS, Taxon
from tests.support.standin.world import NS_FILE, Entity, Page, normal_title

Json = dict[str, Any]
ENTITY_ID = re.compile(r"[MQPL][1-9][0-9]{0,9}")
PROPS = ("info", "sitelinks", "sitelinks/urls", "aliases", "labels", "descriptions", "claims", "datatype")
DEFAULT_PROPS = "info|sitelinks|aliases|labels|descriptions|claims|datatype"


def get_entities(request: ApiRequest) -> Json:
    """`action=wbgetentities` by ids, or by sites and titles; at most 50 of each."""
    props = request.choice("wbgetentities", "props", PROPS, DEFAULT_PROPS)
    ids = request.values("ids")
    titles = request.values("titles")
    sites = request.values("sites")
    if not ids and not (sites and titles):
        info = 'Either provide the item "ids" or pairs of "sites" and "titles" for corresponding pages.'
        raise ApiFailure("param-missing", info)
    for entity_id in ids:
        if not ENTITY_ID.fullmatch(entity_id):
            raise _no_such_entity(entity_id)
    entities: Json = {entity_id: _entity(request, entity_id, props) for entity_id in ids}
    for position, title in enumerate(titles, start=1):
        page = request.world.page_by_title(normal_title(title))
        if page is None or page.ns != NS_FILE:
            entities[str(-position)] = {"site": sites[0], "title": title, "missing": ""}
        else:
            entities[f"M{page.page_id}"] = _entity(request, f"M{page.page_id}", props)
    return {"entities": entities, "success": 1}


def _no_such_entity(entity_id: str) -> ApiFailure:
    info = f'Could not find an entity with the ID "{entity_id}".'
    message = {"name": "wikibase-api-no-such-entity", "parameters": [entity_id], "html": info}
    return ApiFailure("no-such-entity", info, {"id": entity_id, "messages": [message]})


def _entity(request: ApiRequest, entity_id: str, props: list[str]) -> Json:
    missing: Json = {"id": entity_id, "missing": ""}
    if entity_id[0] == "M":
        page = request.world.pages.get(int(entity_id[1:]))
        return missing if page is None or page.latest.entity is None else media_json(page, props)
    known = request.world.entities.get(entity_id)
    if known is not None:
        return _local_entity(request, known, props)
    taxon = request.world.taxa.taxa.get(entity_id)
    return missing if taxon is None else _taxon_entity(request, taxon, props)


def media_json(page: Page, props: Iterable[str]) -> Json:
    """A media entity as the API gives it: `statements` is a map, or an empty list when there are none."""
    entity = page.latest.entity or {}
    body: Json = {}
    if "info" in props:
        body = {
            "pageid": page.page_id,
            "ns": page.ns,
            "title": page.title,
            "lastrevid": page.latest.revid,
            "modified": page.latest.timestamp,
        }
    body |= {"type": "mediainfo", "id": f"M{page.page_id}"}
    for key in ("labels", "descriptions"):
        if key in props:
            body[key] = entity.get(key) or {}
    if "claims" in props:
        body["statements"] = entity.get("statements") or []
    return body


def _texts(request: ApiRequest, texts: dict[str, str]) -> Json:
    """Texts by language: all, or those asked for, with English standing in when fallback was asked for."""
    wanted = request.values("languages")
    fallback = request.flag("languagefallback")
    body: Json = {}
    for code in wanted or texts:
        if code in texts:
            body[code] = {"language": code, "value": texts[code]}
        elif fallback and "en" in texts:
            body[code] = {"value": texts["en"], "language": "en", "for-language": code}
    return body


def _local_entity(request: ApiRequest, entity: Entity, props: list[str]) -> Json:
    is_property = entity.datatype is not None
    body: Json = {}
    if "info" in props:
        page = request.world.pages[entity.page_id]
        body = {
            "pageid": page.page_id,
            "ns": page.ns,
            "title": page.title,
            "lastrevid": entity.revid,
            "modified": entity.modified,
        }
    body["type"] = "property" if is_property else "item"
    if is_property and "datatype" in props:
        body["datatype"] = entity.datatype
    body["id"] = entity.entity_id
    if "labels" in props:
        body["labels"] = _texts(request, dict(entity.labels))
    if "descriptions" in props:
        body["descriptions"] = _texts(request, dict(entity.descriptions))
    body |= {key: {} for key in ("aliases", "claims") if key in props}
    if "claims" in props and entity.statements:
        body["claims"] = statements_json(entity.entity_id, list(entity.statements))
    if not is_property and "sitelinks" in props:
        body["sitelinks"] = {}
    return body


def _taxon_entity(request: ApiRequest, taxon: Taxon, props: list[str]) -> Json:
    body: Json = {"type": "item", "id": taxon.qid}
    if "labels" in props:
        body["labels"] = _texts(request, taxon_labels(taxon))
    if "descriptions" in props:
        body["descriptions"] = _texts(request, {"en": f"{taxon.rank} of organisms"})
    if "aliases" in props:
        body["aliases"] = {
            code: [{"language": code, "value": name} for name in (taxon.scientific_name, *names[1:])]
            for code, names in taxon.names.items()
        }
    if "claims" in props:
        body["claims"] = statements_json(taxon.qid, _taxon_statements(taxon))
    return body


def taxon_labels(taxon: Taxon) -> dict[str, str]:
    """Labels by language: the first vernacular name, the scientific name where there is none."""
    codes = dict.fromkeys(("en", "nl", "de", "fr"))
    return {code: (taxon.names.get(code) or (taxon.scientific_name,))[0] for code in codes}


def _taxon_statements(taxon: Taxon) -> list[Statement]:
    snaks = [text("P225", taxon.scientific_name)]
    if taxon.rank in RANKS:
        snaks.append(item("P105", RANKS[taxon.rank]))
    snaks += [item("P171", parent) for parent in taxon.parents]
    snaks += [text(ID_PROPERTIES[kind], value) for kind, value in taxon.ids.items()]
    return [Statement(snak) for snak in snaks]


def get_claims(request: ApiRequest) -> Json:
    """`action=wbgetclaims` of one entity, which must be there; unlike wbgetentities it names the data type."""
    entity_id = request.need("entity")
    wanted = request.text("property")
    page = request.world.pages.get(int(entity_id[1:])) if ENTITY_ID.fullmatch(entity_id) else None
    if entity_id[:1] != "M" or page is None or page.latest.entity is None:
        odd = "⧼no-such-entity⧽"
        message = {"name": "no-such-entity", "parameters": [entity_id], "html": odd}
        raise ApiFailure("no-such-entity", odd, {"messages": [message]})
    statements = page.latest.entity["statements"] or {}
    return {
        "claims": {
            prop: [_with_datatype(statement) for statement in group]
            for prop, group in statements.items()
            if wanted in (None, prop)
        }
    }


def _with_datatype(statement: Json) -> Json:
    kinds = {"wikibase-entityid": "wikibase-item", "string": "string"}
    mainsnak = dict(statement["mainsnak"])
    mainsnak["datatype"] = kinds[mainsnak.get("datavalue", {}).get("type", "wikibase-entityid")]
    return {**statement, "mainsnak": mainsnak}


def search_entities(request: ApiRequest) -> Json:
    """`action=wbsearchentities`: items whose label, or a word of it, begins with what was typed."""
    typed, language = request.need("search"), request.need("language")
    limit = request.limit("wbsearchentities", "limit", 7, 50)
    kind = request.text("type") or "item"
    labels: list[tuple[str, dict[str, str], dict[str, str]]] = [
        (one.entity_id, dict(one.labels), dict(one.descriptions))
        for one in request.world.entities.values()
        if (one.datatype is not None) == (kind == "property")
    ]
    if kind == "item":
        labels += [
            (taxon.qid, taxon_labels(taxon), {"en": f"{taxon.rank} of organisms"})
            for taxon in request.world.taxa.taxa.values()
        ]
    hits = [row for row in labels if _begins(row[1].get(language, row[1].get("en", "")), typed)]
    hits.sort(key=lambda row: (row[1].get(language, "").lower() != typed.lower(), int(row[0][1:])))
    start = request.integer("continue")
    body: Json = {
        "searchinfo": {"search": typed},
        "search": [_search_hit(request, row, language, typed) for row in hits[start : start + limit]],
    }
    if start + limit < len(hits):
        body["search-continue"] = start + limit
    return body | {"success": 1}


def _begins(label: str, typed: str) -> bool:
    words = label.lower().split()
    return any(" ".join(words[i:]).startswith(typed.lower()) for i in range(len(words)))


def _search_hit(
    request: ApiRequest, row: tuple[str, dict[str, str], dict[str, str]], language: str, typed: str
) -> Json:
    entity_id, labels, descriptions = row
    code = language if language in labels else "en"
    prefix = "Property" if entity_id[0] == "P" else "Item"
    local = request.world.entities.get(entity_id)
    display: Json = {"label": {"value": labels[code], "language": code}}
    if "en" in descriptions:
        display["description"] = {"value": descriptions["en"], "language": "en"}
    return {
        "id": entity_id,
        "title": f"{prefix}:{entity_id}",
        "pageid": local.page_id if local else int(entity_id[1:]),
        "concepturi": f"{request.base_url}/entity/{entity_id}",
        "repository": "local",
        "url": f"{request.base_url}/wiki/{prefix}:{entity_id}",
        "display": display,
        "label": labels[code],
        **({"description": descriptions["en"]} if "en" in descriptions else {}),
        "match": {"type": "label", "language": code, "text": labels[code]},
    }
