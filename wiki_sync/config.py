"""What the library needs to know about the outside: one frozen object, made by the caller and passed down.

The library reads no environment variables and no files for its settings. Property ids and endpoints are
settings because test wikis use others (depicts is P180 on Commons and P292 on test-commons).
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class WikiConfig:
    """Addresses, ids, limits and manners.

    `api_url` is the whole address of `api.php`; `items_api_url` is that of the wiki which holds the items, ""
    where it is the same one. `sparql_urls` hold the items and `commons_sparql_urls` the files' structured data;
    each list is tried in order. For those on `wcqs_hosts` the long-lived sign-in cookie `wcqs_cookie` is used.
    `state_dir` is a folder of ours in which pywikibot may keep its files. `image_hosts` and `wcqs_hosts` are host
    names (default ports, https only) or `host:port` pairs (that port exactly, http or https). Times are in
    seconds. Raises ValueError for values that cannot work.
    """

    api_url: str
    sparql_urls: tuple[str, ...]
    user_agent: str
    state_dir: Path
    commons_sparql_urls: tuple[str, ...] = ()
    wcqs_hosts: tuple[str, ...] = ("commons-query.wikimedia.org",)
    wcqs_cookie: str = field(default="", repr=False)
    item_base: str = "http://www.wikidata.org/entity/"
    media_base: str = "https://commons.wikimedia.org/entity/"
    depicts: str = "P180"
    box: str = "P2677"
    inventory_number: str = "P217"
    collection: str = "P195"
    represents: str = "P6243"
    taxon_name: str = "P225"
    parent_taxon: str = "P171"
    based_on: str = "P887"
    stated_as: str = "P5997"
    items_api_url: str = ""
    languages: tuple[str, ...] = ("nl", "en", "de", "fr")
    timeout_s: float = 30.0
    max_retries: int = 4
    retry_wait_s: float = 1.0
    retry_max_s: float = 120.0
    image_hosts: tuple[str, ...] = ("upload.wikimedia.org", "commons.wikimedia.org")
    max_image_bytes: int = 40_000_000
    thumb_width: int = 960
    object_number_pattern: str = r"\bRP-[A-Z]+(?:-[A-Z0-9]+)+\b"

    def __post_init__(self) -> None:
        for url in (self.api_url, self.items_api_url or self.api_url, *self.sparql_urls, *self.commons_sparql_urls):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.netloc:
                raise ValueError(f"not a web address: {url!r}")
        if not self.user_agent.strip() or not self.user_agent.isprintable() or not self.user_agent.isascii():
            raise ValueError("user_agent must name the tool and a contact, in printable ASCII")
        try:
            re.compile(self.object_number_pattern)
        except re.error as error:
            raise ValueError(f"object_number_pattern is no regular expression: {error}") from error
        if not re.fullmatch(r"[!#-+\--:<-\[\]-~]*", self.wcqs_cookie):  # RFC 6265, cookie-octet
            raise ValueError("wcqs_cookie has letters that a cookie cannot have")
        if not self.languages:
            raise ValueError("languages must name at least one language")
        if self.timeout_s <= 0 or self.max_retries < 0 or self.thumb_width <= 0:
            raise ValueError("timeout_s and thumb_width must be positive, max_retries not negative")
