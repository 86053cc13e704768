"""The frame around every API answer: requests, errors, warnings and the two format versions.

Answers are built once, in the form of formatversion=2; `to_version_1` turns them into the older form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.standin.sessions import Session, Sessions
    from tests.support.standin.world import Person, World

Json = dict[str, Any]
MAX_VALUES = 50
DOCREF = (
    "See {api} for API usage. Subscribe to the mediawiki-api-announce mailing list at "
    "&lt;https://lists.wikimedia.org/postorius/lists/mediawiki-api-announce.lists.wikimedia.org/&gt; "
    "for notice of API deprecations and breaking changes."
)


@dataclass
class ApiRequest:
    """One call of api.php: parameters, who asks (None: nobody signed in), and what was found odd about it.

    `in_query` are the parameters that came with the address; `upload` are the bytes of a file sent along; `tags` are
    put on every edit of this client; `session` is what its cookies stand for, and may be replaced by a new one.
    """

    params: Mapping[str, str]
    world: World
    base_url: str
    person: Person | None = None
    chunk: int | None = None
    lag: float | None = None
    posted: bool = False
    in_query: frozenset[str] = frozenset()
    upload: bytes | None = None
    tags: tuple[str, ...] = ()
    session: Session | None = None
    sessions: Sessions | None = None
    warnings: dict[str, list[str]] = field(default_factory=dict)
    warned: dict[str, list[Message]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    following: dict[str, Json] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """A parameter's value, or None; asking marks it as understood."""
        self.used.add(name)
        return self.params.get(name)

    def need(self, name: str) -> str:
        """A parameter that must be there. Raises ApiFailure `missingparam`."""
        value = self.text(name)
        if value is None:
            raise ApiFailure("missingparam", f'The "{name}" parameter must be set.')
        return value

    def values(self, name: str, limit: int = MAX_VALUES) -> list[str]:
        """A parameter of several values (split at `|`, or at U+001F if it begins with one), without repeats."""
        raw = self.text(name)
        if not raw:
            return []
        parts = raw[1:].split("\x1f") if raw[0] == "\x1f" else raw.split("|")
        unique = list(dict.fromkeys(parts))
        if len(unique) > limit:
            info = f'Too many values supplied for parameter "{name}". The limit is {limit}.'
            extra = {"parameter": name, "limit": limit, "lowlimit": limit, "highlimit": limit * 10}
            raise ApiFailure("toomanyvalues", info, extra)
        return unique

    def choice(self, module: str, name: str, allowed: tuple[str, ...], default: str) -> list[str]:
        """Several values out of `allowed`; `*` is all, unknown ones only give a warning as MediaWiki does."""
        wanted = self.values(name) if name in self.params else default.split("|") if default else []
        self.used.add(name)
        if wanted == ["*"]:
            return list(allowed)
        unknown = [value for value in wanted if value not in allowed]
        if unknown:
            noun = "value" if len(unknown) == 1 else "values"
            self.warn(module, f'Unrecognized {noun} for parameter "{name}": {", ".join(unknown)}')
        return [value for value in wanted if value in allowed]

    def flag(self, name: str) -> bool:
        """A boolean parameter: true if it is there at all, whatever its value."""
        return self.text(name) is not None

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number, which may be negative. Raises ApiFailure `badinteger`."""
        raw = self.text(name)
        if raw is None:
            return default
        if not raw.removeprefix("-").isdigit():
            raise ApiFailure("badinteger", f'Invalid value "{raw}" for integer parameter "{name}".')
        return int(raw)

    def limit(self, module: str, name: str, default: int = 10, most: int = 500) -> int:
        """A limit: `max`, or a number that is cut to `most` with a warning. Raises ApiFailure `badinteger`."""
        raw = self.text(name)
        if raw is None:
            return default
        if raw == "max":
            return most
        number = self.integer(name)
        if number < 1:
            raise ApiFailure("badinteger", f'The value "{raw}" for parameter "{name}" must be no less than 1.')
        if number > most:
            self.warn(module, f'"{name}" may not be over {most} (set to {number}) for users.')
        return min(number, most)

    def warn(self, module: str, sentence: str) -> None:
        """Add a warning to the answer."""
        self.warnings.setdefault(module, []).append(sentence)

    def warn_by_name(self, module: str, message: Message) -> None:
        """Add a warning that has a name, as Wikibase gives them."""
        self.warned.setdefault(module, []).append(message)


@dataclass(frozen=True)
class Message:
    """A named message: its HTML, its parameters, and its code and plain text in the newer error formats."""

    name: str
    html: str
    parameters: tuple[Any, ...] = ()
    code: str | None = None
    text: str | None = None

    def to_json(self) -> Json:
        """The message as `messages` lists it."""
        return {"name": self.name, "parameters": list(self.parameters), "html": self.html}

    @property
    def entry(self) -> Json:
        """The message as an entry of `errors`."""
        return {"code": self.code or self.name, "text": self.text or self.html.replace("\n", " ")}


class ApiFailure(Exception):  # noqa: N818 - MediaWiki answers it, nothing of ours went wrong
    """An API error: code, info and what goes beside them. `headers` go with the answer, status is 200.

    `messages` are Wikibase's causes, `entries` what the newer error formats add behind them. A crash is an exception
    that the wiki did not catch. `module` is who says it; None leaves it to the module that was running.
    """

    def __init__(
        self,
        code: str,
        info: str,
        extra: Json | None = None,
        headers: Mapping[str, str] | None = None,
        status: int = 200,
        *,
        messages: Sequence[Message] = (),
        entries: Sequence[Json] = (),
        is_crash: bool = False,
        module: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {info}")
        self.code = code
        self.info = info
        self.extra = extra or {}
        self.headers = dict(headers or {})
        self.status = status
        self.messages = tuple(messages)
        self.entries = tuple(entries)
        self.is_crash = is_crash
        self.module = module

    @property
    def codes(self) -> list[str]:
        """All codes, as the header `MediaWiki-API-Error` lists them."""
        return list(dict.fromkeys([self.code, *(one.code or one.name for one in self.messages)]))

    def body(self, base_url: str, errorformat: str) -> Json:
        """The error as JSON: one `error` in the old form, or a list `errors` in the newer ones."""
        docref: Json = {} if self.is_crash else {"docref": DOCREF.format(api=f"{base_url}/w/api.php")}
        named: Json = {"messages": [one.to_json() for one in self.messages]} if self.messages else {}
        if errorformat == "bc":
            return {"error": {"code": self.code, "info": self.info, **self.extra, **named, **docref}}
        whole: Json = {"code": self.code, "text": self.info}
        if self.extra or named:
            whole["data"] = {**self.extra, **named}
        parts = [one.entry for one in self.messages] if len(self.messages) > 1 else []
        module: Json = {} if self.is_crash else {"module": self.module or "main"}
        return {"errors": [{**entry, **module} for entry in (*parts, whole, *self.entries)], **docref}


def maxlag_failure(lag: float, allowed: int) -> ApiFailure:
    """The error of a wiki whose database is `lag` seconds behind when only `allowed` were accepted."""
    return ApiFailure(
        "maxlag",
        f"Waiting for a database server: {lag:g} seconds lagged.",
        {"host": "10.64.0.99", "lag": lag, "type": "db"},
        {"Retry-After": str(max(allowed, 5)), "X-Database-Lag": str(int(lag))},
        module="main",
    )


def readonly_failure(reason: str = "Maintenance") -> ApiFailure:
    """The error of a wiki that is locked for writing."""
    info = "The wiki is currently in read-only mode."
    return ApiFailure("readonly", info, {"readonlyreason": reason}, module="main")


def with_warnings(answer: Json, request: ApiRequest) -> Json:
    """The answer with its warnings in front, grouped by module."""
    grouped: dict[str, Json] = {module: {"warnings": "\n".join(lines)} for module, lines in request.warnings.items()}
    for module, messages in request.warned.items():
        listed = [{**one.to_json(), "type": "warning"} for one in messages]
        grouped.setdefault(module, {})["messages"] = listed
    return {"warnings": grouped, **answer} if grouped else answer


def to_version_1(answer: Json) -> Json:
    """The same answer in formatversion=1: true is "", false is absent, pages are a map, texts are under `*`."""
    old: Json = _flatten(answer)
    error = old.get("error", {})
    if "docref" in error:
        error["*"] = error.pop("docref")
    for group in (error, *old.get("warnings", {}).values()):
        for message in group.get("messages", ()):
            message["html"] = {"*": message["html"]}
        if "warnings" in group:
            group["*"] = group.pop("warnings")
    query = old.get("query", {})
    if "pages" in query:
        query["pages"] = _page_map(query["pages"])
    for namespace in query.get("namespaces", {}).values():
        namespace["*"] = namespace.pop("name")
    for alias in query.get("namespacealiases", []):
        alias["*"] = alias.pop("alias")
    return old


def _flatten(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "" if part is True else _flatten(part) for key, part in value.items() if part is not False}
    if isinstance(value, list):
        return [_flatten(part) for part in value]
    return value


def _page_map(pages: list[Json]) -> Json:
    result: Json = {}
    for number, page in enumerate(pages, start=1):
        result[str(page.get("pageid", -number))] = page
        for revision in page.get("revisions", []):
            for holder in (revision, *revision.get("slots", {}).values()):
                if "content" in holder:
                    holder["*"] = holder.pop("content")
    return result
