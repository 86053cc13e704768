"""Which API modules and parameters there are: for `action=paraminfo` and for warnings about unknown ones.

Only what the stand-in answers is listed. `*` after a name: several values; `!`: required; `#`: a limit;
`?`: a flag.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

MAIN = (
    "action format maxlag# smaxage maxage assert assertuser requestid servedby? curtimestamp? responselanginfo? "
    "origin crossorigin? uselang variant errorformat errorlang errorsuselocal? formatversion utf8? ascii? callback"
)
ACTIONS = {
    "query": "prop* list* meta* indexpageids? export? exportnowrap? iwurl? continue rawcontinue? titles* pageids* "
    "revids* generator redirects? converttitles?",
    "paraminfo": "modules* helpformat querymodules* mainmodule pagesetmodule formatmodules*",
    "wbgetentities": "ids* sites* titles* redirects props* languages* languagefallback? normalize? sitefilter*",
    "wbgetclaims": "entity claim property rank props",
    "wbsearchentities": "search! language! strictlanguage? type limit# continue props* profile",
    "login": "lgname lgpassword lgdomain lgtoken",
}
# What changes something: only by POST, and all but login with a token.
WRITES = {
    "wbsetclaim": "claim! index ignoreduplicatemainsnak? summary tags* baserevid bot?",
    "wbcreateclaim": "entity! property! snaktype! value summary tags* baserevid bot?",
    "wbremoveclaims": "claim*! summary tags* baserevid bot?",
    "wbsetqualifier": "claim! property value snaktype snakhash summary tags* baserevid bot?",
    "wbsetlabel": "id new site title language! value summary tags* baserevid bot?",
    "wbeditentity": "id new site title data! clear? summary tags* baserevid bot?",
    "edit": "title pageid section sectiontitle text summary tags* minor? notminor? bot? baserevid basetimestamp "
    "starttimestamp recreate? createonly? nocreate? watchlist watchlistexpiry md5 prependtext appendtext undo "
    "undoafter redirect? contentformat contentmodel",
    "delete": "title pageid reason tags* watchlist watchlistexpiry oldimage",
    "undelete": "title! reason tags* timestamps* fileids* watchlist watchlistexpiry",
    "move": "from fromid to! reason movetalk? movesubpages? noredirect? watchlist watchlistexpiry ignorewarnings? "
    "tags*",
    "upload": "filename comment tags* text watchlist watchlistexpiry ignorewarnings? file url filekey filesize offset "
    "chunk async? checkstatus?",
    "logout": "",
}
ACTIONS |= {name: f"{spec} token!" for name, spec in WRITES.items()}
QUERY_MODULES = {
    ("list", "categorymembers"): "cm: title pageid prop* namespace* type* continue limit# sort dir start end",
    ("list", "search"): "sr: search! namespace* limit# offset qiprofile what info* prop* interwiki? sort",
    ("list", "recentchanges"): "rc: start end dir namespace* user excludeuser tag prop* show* limit# type* toponly? "
    "title continue generaterevisions? slot",
    ("list", "logevents"): "le: prop* type action start end dir user title namespace* prefix tag limit# continue",
    ("list", "usercontribs"): "uc: limit# start end continue user* userids* namespace* prop* show* tag dir toponly?",
    ("list", "allimages"): "ai: sort dir from to continue start end prop* prefix minsize maxsize user filterbots "
    "limit# mime*",
    ("prop", "imageinfo"): "ii: prop* limit# start end urlwidth urlheight metadataversion extmetadatalanguage "
    "extmetadatamultilang? extmetadatafilter* urlparam badfilecontexttitle continue localonly?",
    ("prop", "info"): "in: prop* testactions* linkcontext continue",
    ("prop", "revisions"): "rv: prop* slots* limit# startid endid start end dir user excludeuser tag continue "
    "expandtemplates? generatexml? parse? section diffto difftotext contentformat",
    ("prop", "categoryinfo"): "ci: continue",
    ("prop", "categories"): "cl: prop* show* limit# continue categories* dir",
    ("meta", "siteinfo"): "si: prop* filteriw showalldb? numberingroup? inlanguagecode",
    ("meta", "userinfo"): "ui: prop* attachedwiki",
    ("meta", "tokens"): ": type*",
}
GENERATORS = ("categorymembers", "search")


def parameter_names(params: dict[str, str]) -> set[str]:
    """The parameters that the modules named in `params` understand."""
    known = set(_names(MAIN)) | set(_names(ACTIONS.get(params.get("action", ""), "")))
    if params.get("action") == "query":
        for (group, module), spec in QUERY_MODULES.items():
            prefix, names = spec.split(":")
            if module in params.get(group, "").split("|"):
                known |= {prefix + name for name in _names(names)}
            if module == params.get("generator"):
                known |= {"g" + prefix + name for name in _names(names)}
    return known


def _names(spec: str) -> list[str]:
    return [word.rstrip("*!#?") for word in spec.split()]


def required(action: str) -> list[str]:
    """The parameters without which a writing action is refused, in the order in which they are asked for."""
    return [word.rstrip("*!") for word in ACTIONS[action].split() if word.endswith("!")]


def paraminfo(paths: list[str]) -> list[Json]:
    """Descriptions of modules by path (`main`, `query`, `query+info`); a path that is not known says missing."""
    return [_describe(path) for path in paths]


def _describe(path: str) -> Json:
    name = path.split("+")[-1]
    if path == "main":
        return _module("main", "main", "", MAIN)
    if path in ACTIONS:
        described = _module(name, path, "", ACTIONS[path], group="action")
        posted: Json = {"mustbeposted": True} if path in WRITES or path == "login" else {}
        return described | posted | ({"writerights": True} if path in WRITES and path != "logout" else {})
    for (group, module), spec in QUERY_MODULES.items():
        if path == f"query+{module}":
            prefix, names = spec.split(":")
            described = _module(name, path, prefix, names, group=group)
            return described | ({"generator": True} if module in GENERATORS else {})
    return {"name": name, "missing": True}


def _module(name: str, path: str, prefix: str, spec: str, group: str = "") -> Json:
    return {
        "name": name,
        "classname": f"Api{name.title()}",
        "path": path,
        **({"group": group} if group else {}),
        "prefix": prefix,
        "readrights": True,
        "helpurls": [],
        "parameters": [_parameter(path, word, index) for index, word in enumerate(spec.split(), start=1)],
        "templatedparameters": [],
    }


def _parameter(path: str, word: str, index: int) -> Json:
    name, mark = word.rstrip("*!#?"), word[-1]
    described: Json = {"index": index, "name": name, "type": _type(path, name, mark)}
    if name == "token":
        described |= {"tokentype": "csrf", "sensitive": True}
    if "*" in word:
        described |= {"multi": True, "limit": 50, "lowlimit": 50, "highlimit": 500}
    if mark == "!":
        described["required"] = True
    if mark == "#":
        described |= {"max": 500, "highmax": 5000, "min": 1}
    submodules = _submodules(path, name)
    return described | ({"submodules": submodules} if submodules else {})


def _type(path: str, name: str, mark: str) -> str | list[str]:
    submodules = _submodules(path, name)
    if submodules:
        return list(submodules)
    if (path, name) == ("query+tokens", "type"):
        return ["csrf", "login", "watch", "patrol", "rollback", "userrights", "createaccount"]
    if (path, name) == ("query+info", "prop"):
        return ["protection", "talkid", "url", "displaytitle"]
    if (path, name) == ("query+userinfo", "prop"):
        return ["blockinfo", "editcount", "groups", "hasmsg", "ratelimits", "rights"]
    return {"#": "limit", "?": "boolean"}.get(mark, "string")


def _submodules(path: str, name: str) -> dict[str, str]:
    if (path, name) == ("main", "action"):
        return {action: action for action in ACTIONS}
    if path == "query" and name in ("prop", "list", "meta"):
        return {module: f"query+{module}" for group, module in QUERY_MODULES if group == name}
    if (path, name) == ("query", "generator"):
        return {module: f"query+{module}" for module in GENERATORS}
    return {}
