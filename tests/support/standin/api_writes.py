"""Writing structured data: wbsetclaim, wbcreateclaim, wbremoveclaims, wbsetqualifier, wbsetlabel, wbeditentity.

As Wikibase does it: the entity is loaded at `baserevid`, the change is made (and the search for duplicates done)
there, and the result is patched into the latest revision. A file without structured data has an empty entity.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.standin import auto_comments, saving
from tests.support.standin.answers import ApiFailure, ApiRequest, Message
from tests.support.standin.entity_edits import (
    EMPTY,
    TEXTS,
    InvalidClaimError,
    InvalidSnakError,
    UnknownPropertyError,
    canonical,
    find,
    guid_owner,
    new_guid,
    read_snak,
    read_statement,
    statements_of,
    with_statement,
    with_text,
    without,
)
from tests.support.standin.hindrances import no_such_page_entity, wikibase_error
from tests.support.standin.rules import value_type_of
from tests.support.standin.saving import Author, EntityEdit, Saved, datatype_of
from tests.support.standin.world import NS_FILE, Page, Revision

Json = dict[str, Any]
PATCHED = {
    "wikibase-conflict-patched": "Your edit was patched into the latest version.",
    "wikibase-self-conflict-patched": "Your edit was patched into the latest version, overriding some of your own "
    "intermediate changes.",
}
INVALID_GUID = "Invalid claim guid."
ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Loaded:
    """A page and its entity as the client saw it: at `base`, or at the latest revision if that is None."""

    page: Page
    entity: Mapping[str, Any]
    base: Revision | None

    @property
    def entity_id(self) -> str:
        """The entity's id."""
        return f"M{self.page.page_id}"


def author_of(request: ApiRequest) -> Author:
    """Who a request writes as."""
    if request.person is None:
        return Author(ADDRESS, tags=request.tags)
    return Author(request.person.username, request.person.is_bot, request.tags)


def _load(request: ApiRequest, entity_id: str) -> Loaded:
    """The entity to change. Raises ApiFailure `no-such-entity` or `nosuchrevid`."""
    if not re.fullmatch(r"[MQPL][1-9][0-9]{0,9}", entity_id):
        raise wikibase_error("invalid-entity-id", f'"{entity_id}" is not a valid entity ID.')
    if entity_id[0] != "M":
        raise ApiFailure("standin-unsupported", "the stand-in writes media entities only")
    page = request.world.pages.get(int(entity_id[1:]))
    if page is None or page.ns != NS_FILE:
        raise no_such_page_entity(entity_id)
    number = request.integer("baserevid")
    base = saving.checked_revision(page, number) if number else None
    return Loaded(page, saving.entity_of(base or page.latest), base)


@contextmanager
def _client_errors() -> Iterator[None]:
    """What is wrong with snaks and claims, as the API says it."""
    try:
        yield
    except InvalidSnakError as error:
        raise wikibase_error("invalid-snak", "Invalid snak data.") from error
    except InvalidClaimError as error:
        raise wikibase_error("invalid-claim", "", parameters=("",)) from error
    except UnknownPropertyError as error:
        # Wikibase forgets to name the property here.
        raise wikibase_error("no-such-entity", 'Could not find an entity with the ID "$1".') from error


def _save(request: ApiRequest, module: str, loaded: Loaded, entity: Json, comment: str) -> Saved:
    """Save, and add the warning that the edit was patched into another revision than its base."""
    tags = tuple(request.values("tags"))
    saving.check_tags(request.world, tags)
    summary, as_bot = request.text("summary") or "", request.flag("bot")
    edit = EntityEdit(loaded.page, entity, author_of(request), comment, summary, loaded.base, tags, as_bot)
    saved = saving.save_entity(request.world, edit)
    if saved.warning is not None:
        request.warn_by_name(module, Message(saved.warning, PATCHED[saved.warning]))
    return saved


def _claim_answer(request: ApiRequest, saved: Saved, statement: Json) -> Json:
    return {"pageinfo": {"lastrevid": saved.revid}, "success": 1, "claim": _with_datatypes(request, statement)}


def _with_datatypes(request: ApiRequest, statement: Json) -> Json:
    """The statement as these modules answer it: main snak and qualifiers with their data types."""
    body = {**statement, "mainsnak": _typed(request, statement["mainsnak"])}
    if "qualifiers" in statement:
        groups = statement["qualifiers"].items()
        body["qualifiers"] = {prop: [_typed(request, snak) for snak in group] for prop, group in groups}
    if "references" in statement:
        body["references"] = [
            {**one, "snaks": {prop: [_typed(request, s) for s in group] for prop, group in one["snaks"].items()}}
            for one in statement["references"]
        ]
    return body


def _typed(request: ApiRequest, snak: Json) -> Json:
    return {**snak, "datatype": datatype_of(request.world, snak["property"])}


def _datatypes(request: ApiRequest) -> Callable[[str], str | None]:
    return lambda prop: datatype_of(request.world, prop)


def _snak_asked(request: ApiRequest, prop: str) -> Json:
    """The snak that `snaktype` and `value` describe; `value` is JSON."""
    body: Json = {"snaktype": request.text("snaktype"), "property": prop}
    raw = request.text("value")
    datatype = datatype_of(request.world, prop)
    with _client_errors():
        if datatype is None:
            raise UnknownPropertyError(prop)
        if body["snaktype"] == "value":
            if raw is None:
                info = "A snak of type value needs a value."
                raise ApiFailure("param-missing", info)
            try:
                value = json.loads(raw)
            except ValueError:
                raise InvalidSnakError from None
            body["datavalue"] = {"type": value_type_of(datatype), "value": value}
        return read_snak(body, _datatypes(request))


# ---- one statement


def create_claim(request: ApiRequest) -> Json:
    """`action=wbcreateclaim`: one more statement, whatever is there already."""
    loaded = _load(request, request.need("entity"))
    snak = _snak_asked(request, request.need("property"))
    statement: Json = {"mainsnak": snak, "type": "statement", "id": new_guid(loaded.entity_id), "rank": "normal"}
    saving.check_items(request.world, [statement])
    comment = auto_comments.of_create_claim(request.world.rules, statement)
    saved = _save(request, "wbcreateclaim", loaded, with_statement(loaded.entity, statement), comment)
    return _claim_answer(request, saved, statement)


def set_claim(request: ApiRequest) -> Json:
    """`action=wbsetclaim`: a statement under the client's own id, new or changed."""
    given = _json(request, "claim", "invalid-claim")
    with _client_errors():
        statement = read_statement(given, _datatypes(request))
    owner = guid_owner(statement.get("id", ""))
    if owner is None:
        raise wikibase_error("invalid-claim", "GUID must be set when setting a claim")
    loaded = _load(request, owner)
    request.text("index")
    if request.flag("ignoreduplicatemainsnak") and _has_main_snak(loaded.entity, statement):
        request.warn("wbsetclaim", "Duplicate main snak detected. Statement not added.")
        return {}
    saving.check_items(request.world, [statement])
    comment = auto_comments.of_set_claim(request.world.rules, find(loaded.entity, statement["id"]), statement)
    saved = _save(request, "wbsetclaim", loaded, with_statement(loaded.entity, statement), comment)
    return _claim_answer(request, saved, statement)


def _has_main_snak(entity: Mapping[str, Any], statement: Json) -> bool:
    """Whether any statement says the same; rank, qualifiers and even the id do not count."""
    wanted = canonical(statement["mainsnak"])
    return any(canonical(one["mainsnak"]) == wanted for one in statements_of(entity))


def remove_claims(request: ApiRequest) -> Json:
    """`action=wbremoveclaims`: statements of one entity, which have to be there at the base revision."""
    request.need("claim")
    guids = request.values("claim")
    owners = {guid_owner(guid) for guid in guids}
    if len(owners) != 1 or None in owners:
        raise wikibase_error("invalid-guid", INVALID_GUID)
    loaded = _load(request, str(owners.pop()))
    gone = [find(loaded.entity, guid) for guid in guids]
    if None in gone:
        raise wikibase_error("invalid-guid", INVALID_GUID)
    comment = auto_comments.of_removal(request.world.rules, [one for one in gone if one is not None])
    saved = _save(request, "wbremoveclaims", loaded, without(loaded.entity, guids), comment)
    return {"pageinfo": {"lastrevid": saved.revid}, "success": 1, "claims": guids}


def set_qualifier(request: ApiRequest) -> Json:
    """`action=wbsetqualifier`: a qualifier more, or with `snakhash` another in the place of one."""
    guid, prop = request.need("claim"), request.need("property")
    owner = guid_owner(guid)
    if owner is None:
        raise wikibase_error("invalid-guid", INVALID_GUID)
    loaded = _load(request, owner)
    statement = find(loaded.entity, guid)
    if statement is None:
        raise wikibase_error("no-such-claim", "Could not find the claim.")
    snak, old_hash = _snak_asked(request, prop), request.text("snakhash")
    group = statement.get("qualifiers", {}).get(prop, [])
    if old_hash is not None and all(one["hash"] != old_hash for one in group):
        raise wikibase_error("no-such-qualifier", "Claim does not have a qualifier with the given hash.")
    kept = [snak if one["hash"] == old_hash else one for one in group]
    group = kept if any(one["hash"] == snak["hash"] for one in kept) else [*kept, snak]
    qualifiers = {**statement.get("qualifiers", {}), prop: group}
    ends: Json = {key: statement[key] for key in ("id", "rank", "references") if key in statement}
    changed: Json = {"mainsnak": statement["mainsnak"], "type": "statement", "qualifiers": qualifiers}
    changed |= {"qualifiers-order": list(qualifiers), **ends}
    saving.check_items(request.world, [changed])
    comment = auto_comments.of_qualifier(request.world.rules, snak, old_hash is None)
    saved = _save(request, "wbsetqualifier", loaded, with_statement(loaded.entity, changed), comment)
    return _claim_answer(request, saved, changed)


# ---- the whole entity


def set_label(request: ApiRequest) -> Json:
    """`action=wbsetlabel`: the caption in one language; an empty value takes it away."""
    loaded, language = _load(request, request.need("id")), request.need("language")
    value = request.text("value") or ""
    was_there = language in (loaded.entity.get("labels") or {})
    comment = auto_comments.of_label(language, value, was_there)
    saved = _save(request, "wbsetlabel", loaded, with_text(loaded.entity, "labels", language, value), comment)
    label: Json = {"language": language, "value": value} if value else {"language": language, "removed": ""}
    head: Json = {"labels": {language: label}, "id": loaded.entity_id, "type": "mediainfo"}
    return {"entity": _marked(head, saved), "success": 1}


def edit_entity(request: ApiRequest) -> Json:
    """`action=wbeditentity`: labels, descriptions and `claims` (not `statements`, which is passed over in silence).

    The answer shows the entity as this client made it from its base, even where it was patched into a later one.
    """
    data = _json(request, "data", "invalid-json")
    if "new" in request.params:
        raise ApiFailure("standin-unsupported", "the stand-in makes no new items")
    loaded, clears = _load(request, request.need("id")), request.flag("clear")
    entity = _with_data(request, loaded, data, EMPTY if clears else loaded.entity)
    comment = auto_comments.of_edit_entity(clears)
    saved = _save(request, "wbeditentity", loaded, entity, comment)
    body: Json = {"type": "mediainfo", "id": loaded.entity_id}
    body |= {key: entity.get(key) or {} for key in TEXTS}
    body["statements"] = entity.get("statements") or []
    return {"entity": _marked(body, saved), "success": 1}


def _marked(body: Json, saved: Saved) -> Json:
    return {**body, "lastrevid": saved.revid, **({} if saved.changed else {"nochange": True})}


def _with_data(request: ApiRequest, loaded: Loaded, data: Any, entity: Mapping[str, Any]) -> Json:
    """The entity with what the data says."""
    if not isinstance(data, Mapping):
        raise wikibase_error("invalid-json", "Invalid json in request.")
    state = without(entity, ())
    for key in TEXTS:
        for language, text in (data.get(key) or {}).items():
            state = with_text(state, key, language, "" if "remove" in text else text.get("value", ""))
    claims = data.get("claims") or []
    listed = claims if isinstance(claims, list) else [one for group in claims.values() for one in group]
    for given in listed:
        state = _with_claim(request, loaded, given, state)
    return state


def _with_claim(request: ApiRequest, loaded: Loaded, given: Any, state: Json) -> Json:
    if isinstance(given, Mapping) and "remove" in given:
        guid = str(given.get("id", ""))
        if find(state, guid) is None:
            info = f'Entity does not have claim with GUID "{guid}"'
            raise wikibase_error("modification-failed", info, parameters=(info,))
        return without(state, [guid])
    with _client_errors():
        statement = read_statement(given, _datatypes(request))
    guid = statement.get("id") or new_guid(loaded.entity_id)
    if guid_owner(guid) != loaded.entity_id:
        info = "Statement GUID invalid for given entity"
        raise wikibase_error("modification-failed", info, parameters=(info,))
    saving.check_items(request.world, [statement])
    shaped = {key: guid if key == "id" else statement.get(key) for key in (*_order(statement),)}
    return with_statement(state, shaped)


def _order(statement: Json) -> list[str]:
    """The keys of a stored statement, the id before the rank."""
    keys = [key for key in statement if key != "id"]
    keys.insert(keys.index("rank"), "id")
    return keys


def _json(request: ApiRequest, name: str, code: str) -> Any:
    """A parameter that holds JSON. Raises ApiFailure `code`."""
    try:
        return json.loads(request.need(name))
    except ValueError:
        info = "Invalid json in request." if code == "invalid-json" else "Failed to get statement from Serialization"
        raise wikibase_error(code, info) from None


WRITES: dict[str, Callable[[ApiRequest], Json]] = {
    "wbcreateclaim": create_claim,
    "wbsetclaim": set_claim,
    "wbremoveclaims": remove_claims,
    "wbsetqualifier": set_qualifier,
    "wbsetlabel": set_label,
    "wbeditentity": edit_entity,
}
