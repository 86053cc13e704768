"""What the wiki says about itself and about who asks: siteinfo, userinfo, tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.support.standin.answers import ApiFailure, ApiRequest
from tests.support.standin.hindrances import block_info
from tests.support.standin.sessions import csrf_token, login_token

Json = dict[str, Any]
SITEINFO = (
    "general",
    "namespaces",
    "namespacealiases",
    "rightsinfo",
    "extensions",
    "fileextensions",
    "statistics",
    "usergroups",
    "magicwords",
    "specialpagealiases",
    "interwikimap",
    "languages",
    "protocols",
    "restrictions",
    "defaultoptions",
    "functionhooks",
    "extensiontags",
    "libraries",
    "skins",
    "variables",
    "showhooks",
    "uploaddialog",
    "autocreatetempuser",
    "languagevariants",
    "dbrepllag",
    "clientlibraries",
)
NAMESPACES = (
    (-2, "Media", False),
    (-1, "Special", False),
    (0, "", False),
    (1, "Talk", True),
    (2, "User", True),
    (3, "User talk", True),
    (4, "Project", True),
    (5, "Project talk", True),
    (6, "File", False),
    (7, "File talk", True),
    (8, "MediaWiki", True),
    (9, "MediaWiki talk", True),
    (10, "Template", True),
    (11, "Template talk", True),
    (12, "Help", True),
    (13, "Help talk", True),
    (14, "Category", False),
    (15, "Category talk", True),
    (120, "Item", False),
    (121, "Item talk", False),
    (122, "Property", False),
    (123, "Property talk", False),
)
CONTENT_MODELS = {120: "wikibase-item", 122: "wikibase-property"}
ANONYMOUS_RIGHTS = [
    "createaccount",
    "read",
    "edit",
    "createpage",
    "createtalk",
    "viewmyprivateinfo",
    "editmyprivateinfo",
    "editmyoptions",
    "abusefilter-view",
    "abusefilter-log",
    "item-term",
    "property-term",
    "item-merge",
    "item-redirect",
    "property-create",
    "mediainfo-term",
]
PROPERTY_TYPES = {
    "commonsMedia": "string",
    "geo-shape": "string",
    "tabular-data": "string",
    "url": "string",
    "external-id": "string",
    "wikibase-item": "wikibase-entityid",
    "wikibase-property": "wikibase-entityid",
    "globe-coordinate": "globecoordinate",
    "monolingualtext": "monolingualtext",
    "quantity": "quantity",
    "string": "string",
    "time": "time",
}


def siteinfo(request: ApiRequest) -> Json:
    """`meta=siteinfo`: what pywikibot and people ask; a known but unsupported part comes empty."""
    answer: Json = {}
    for part in request.choice("siteinfo", "siprop", SITEINFO, "general"):
        if part == "general":
            answer[part] = _general(request)
        elif part == "namespaces":
            answer[part] = {str(row[0]): _namespace(request, *row) for row in NAMESPACES}
        elif part == "namespacealiases":
            answer[part] = [{"id": 6, "alias": "Image"}, {"id": 7, "alias": "Image talk"}]
        elif part == "rightsinfo":
            answer[part] = {
                "url": "https://creativecommons.org/licenses/by-sa/4.0/",
                "text": "Creative Commons Attribution-ShareAlike 4.0",
            }
        elif part == "extensions":
            answer[part] = [
                {"type": "wikibase", "name": name, "version": "1.43"}
                for name in ("WikibaseRepository", "WikibaseMediaInfo", "OAuth", "CommonsMetadata")
            ]
        elif part == "fileextensions":
            answer[part] = [{"ext": kind} for kind in ("png", "gif", "jpg", "jpeg", "webp", "tif", "tiff", "svg")]
        elif part == "dbrepllag":
            answer[part] = [{"host": "localhost", "lag": request.lag or 0}]
        else:
            raise ApiFailure("standin-unsupported", f"the stand-in has no siteinfo part {part}")
    return answer


def _namespace(request: ApiRequest, number: int, name: str, subpages: bool) -> Json:
    local = name.replace("Project", request.world.sitename)
    body: Json = {"id": number, "case": "first-letter", "name": local, "subpages": subpages}
    if name:
        body["canonical"] = name
    body |= {"content": number == 0, "nonincludable": False}
    if number in CONTENT_MODELS:
        body["defaultcontentmodel"] = CONTENT_MODELS[number]
    if number == 8:
        body["namespaceprotection"] = "editinterface"
    return body


def _general(request: ApiRequest) -> Json:
    base = request.base_url
    return {
        **_GENERAL,
        "base": f"{base}/wiki/Main_Page",
        "sitename": request.world.sitename,
        "logo": f"{base}/w/resources/assets/change-your-logo.svg",
        "server": base,
        "servername": base.split("//")[1].split(":")[0],
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "favicon": f"{base}/favicon.ico",
        "wikibase-conceptbaseuri": f"{base}/entity/",
        "max-page-id": max(request.world.pages, default=0),
    }


_GALLERY = {
    "imagesPerRow": 0,
    "imageWidth": 120,
    "imageHeight": 120,
    "captionLength": True,
    "showBytes": True,
    "showDimensions": True,
    "mode": "traditional",
}
_IMAGE_LIMITS = ((320, 240), (640, 480), (800, 600), (1024, 768), (1280, 1024), (2560, 2048))
_GENERAL: Json = {
    "mainpage": "Main Page",
    "mainpageisdomainroot": False,
    "generator": "MediaWiki 1.43.9",
    "phpversion": "8.2.35",
    "phpsapi": "cli-server",
    "dbtype": "sqlite",
    "dbversion": "3.40.1",
    "imagewhitelistenabled": False,
    "langconversion": True,
    "linkconversion": True,
    "titleconversion": True,
    "linkprefixcharset": "",
    "linkprefix": "",
    "linktrail": "/^([a-z]+)(.*)$/sD",
    "legaltitlechars": " %!\"$&'()*,\\-.\\/0-9:;=?@A-Z\\\\^_`a-z~\\x80-\\xFF+",
    "invalidusernamechars": "@:>=",
    "allunicodefixes": False,
    "fixarabicunicode": True,
    "fixmalayalamunicode": True,
    "case": "first-letter",
    "lang": "en",
    "fallback": [],
    "rtl": False,
    "fallback8bitEncoding": "windows-1252",
    "readonly": False,
    "writeapi": True,
    "maxarticlesize": 2097152,
    "timezone": "UTC",
    "timeoffset": 0,
    "articlepath": "/wiki/$1",
    "scriptpath": "/w",
    "script": "/w/index.php",
    "variantarticlepath": False,
    "wikiid": "commons",
    "misermode": False,
    "uploadsenabled": True,
    "maxuploadsize": 104857600,
    "minuploadchunksize": 1024,
    "galleryoptions": _GALLERY,
    "thumblimits": {str(i): width for i, width in enumerate((120, 150, 180, 200, 250, 300))},
    "imagelimits": {str(i): {"width": w, "height": h} for i, (w, h) in enumerate(_IMAGE_LIMITS)},
    "centralidlookupprovider": "local",
    "allcentralidlookupproviders": ["local"],
    "interwikimagic": True,
    "magiclinks": {"ISBN": False, "PMID": False, "RFC": False},
    "categorycollation": "uppercase",
    "nofollowlinks": True,
    "nofollownsexceptions": [],
    "nofollowdomainexceptions": ["mediawiki.org"],
    "externallinktarget": False,
    "wikibase-propertytypes": {name: {"valuetype": kind} for name, kind in PROPERTY_TYPES.items()},
    "wikibase-geoshapestoragebaseurl": "https://commons.wikimedia.org/wiki/",
    "wikibase-tabulardatastoragebaseurl": "https://commons.wikimedia.org/wiki/",
}


def _limits(kind: str, pairs: str) -> Json:
    entries = (pair.split("=") for pair in pairs.split())
    return {name: {kind: {"hits": int(v.split("/")[0]), "seconds": int(v.split("/")[1])}} for name, v in entries}


IP_LIMITS = _limits(
    "ip",
    "edit=8/60 upload=8/60 mailpassword=5/3600 sendemail=5/86400 purge=30/60 linkpurge=30/60 renderfile=700/30 "
    "renderfile-nonstandard=70/30 stashedit=30/60 stashbasehtml=5/60 changetags=8/60 wikibase-idgenerator=8/60",
)
USER_LIMITS = _limits(
    "user",
    "edit=90/60 move=8/60 rollback=10/60 sendemail=20/86400 changeemail=4/86400 confirmemail=4/86400 purge=30/60 "
    "linkpurge=30/60 renderfile=700/30 renderfile-nonstandard=70/30 editcontentmodel=8/60 wikibase-idgenerator=90/60",
)


def userinfo(request: ApiRequest) -> Json:
    """`meta=userinfo` of the person whose Bearer token came with the call, or of the anonymous caller."""
    allowed = ("blockinfo", "editcount", "groups", "hasmsg", "ratelimits", "rights")
    parts = request.choice("userinfo", "uiprop", allowed, "")
    person = request.person
    body: Json = {"id": int(person.sub), "name": person.username} if person else _ANONYMOUS.copy()
    block = request.world.block_of(person.username) if person else None
    if "blockinfo" in parts and block:
        body |= block_info(block)
    if "groups" in parts:
        body["groups"] = list(person.groups) if person else ["*"]
    if "rights" in parts:
        body["rights"] = list(person.rights) if person else ANONYMOUS_RIGHTS
    if "editcount" in parts and person:
        body["editcount"] = person.editcount
    if "ratelimits" in parts:
        body["ratelimits"] = USER_LIMITS if person else IP_LIMITS
    if "hasmsg" in parts:
        body["messages"] = False
    return body


_ANONYMOUS = {"id": 0, "name": "127.0.0.1", "anon": True}


def tokens(request: ApiRequest) -> Json:
    """`meta=tokens`: csrf by default, login on wish."""
    kinds = request.choice("tokens", "type", ("csrf", "login", "patrol", "rollback", "watch"), "csrf")
    return {f"{kind}token": login_token(request) if kind == "login" else csrf_token(request) for kind in kinds}
