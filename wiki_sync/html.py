"""HTML that others wrote: made harmless, or reduced to plain text.

Descriptions, artists and credits on Commons are wiki text rendered to HTML by anybody. Nothing of it reaches
a page unless it went through here.
"""

import html as html_entities
import re
from urllib.parse import urlsplit

import nh3

_TAGS = {"a", "b", "i", "em", "strong", "sub", "sup", "br", "p", "ul", "ol", "li", "span", "cite", "q"}
_BREAKS = re.compile(r"</?(?:br|p|div|li|ul|ol|td|tr|table|dd|dt|h[1-6])\b[^>]*>", re.IGNORECASE)


def safe_html(text: str) -> str:
    """Return the HTML with only plain inline and list elements left, links reduced to http(s) and marked
    nofollow."""
    return nh3.clean(
        text,
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https"},
        link_rel="nofollow noopener noreferrer",
        clean_content_tags={"script", "style"},
    ).strip()


def plain_text(text: str) -> str:
    """Return the words of the HTML on one line: no elements, no scripts, entities resolved, white space
    single.

    The result is plain text: it may well contain `<` as a character and must be escaped when put into a page.
    """
    spaced = _BREAKS.sub(lambda found: f" {found.group(0)}", text)
    stripped = nh3.clean(spaced, tags=set(), attributes={}, clean_content_tags={"script", "style"})
    return " ".join(html_entities.unescape(stripped).split())


def web_address(text: str | None) -> str | None:
    """Return the address if it is an absolute http(s) one (`//host` becomes https), else None."""
    if not text:
        return None
    address = text.strip()
    if address.startswith("//"):
        address = f"https:{address}"
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc or not address.isprintable():
        return None
    return address if not set(address) & set(' "<>\\') else None
