"""Object numbers: how an illustration joins back to the museum's own records.

Sources in order of trust: the inventory number that qualifies a collection statement, an inventory number
statement of its own, the accession number in the file page's template, the file title. The source travels
with the number because a number read off a title is a guess. Numbers are never corrected here, and duplicates
are for the caller to see.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import mwparserfromhell

from wiki_sync.config import WikiConfig
from wiki_sync.html import plain_text

_TEMPLATE_FIELDS = ("accession number", "inventory number", "object number")
_LONGEST = 100


@dataclass(frozen=True)
class ObjectNumber:
    """A museum's number for an object; `source` is "P195/P217", "P217", "template" or "title"."""

    value: str
    source: str


def trust(config: WikiConfig, number: ObjectNumber) -> int:
    """Return the place of the number's source in the order of trust, 0 being the best."""
    order = (f"{config.collection}/{config.inventory_number}", config.inventory_number, "template", "title")
    return order.index(number.source) if number.source in order else len(order)


def most_trusted(config: WikiConfig, *numbers: ObjectNumber | None) -> ObjectNumber | None:
    """Return the number with the most trusted source, the earlier one where two are alike; None if there is
    none."""
    known = [number for number in numbers if number is not None]
    return min(known, key=lambda number: trust(config, number), default=None)


def number_in_text(pattern: str, text: str) -> str | None:
    """Return the first match of `pattern` that is a whole number, or None.

    A match that stops in front of a further letter, digit or hyphen is no match: of "RP-T-BR-2017-1-4-18v"
    the part before "v" would otherwise shrink to another object's number.
    """
    found = re.search(rf"(?:{pattern})(?![\w-])", text.replace("_", " "))
    return found.group(0) if found else None


def number_in_title(config: WikiConfig, title: str) -> ObjectNumber | None:
    """Return the number in a file title, or None."""
    name = title.partition(":")[2] or title
    stem = name.rpartition(".")[0] or name
    value = number_in_text(config.object_number_pattern, stem)
    return ObjectNumber(value, "title") if value else None


def number_in_wikitext(config: WikiConfig, wikitext: str) -> ObjectNumber | None:
    """Return the number in the first filled accession-number field of the page's templates, or None.

    A value that does not fit `object_number_pattern` is kept as it is written (other museums, other schemes)
    as long as it is one short line.
    """
    if not any(field in wikitext.replace("_", " ").lower() for field in _TEMPLATE_FIELDS):
        return None  # parsing is slow and most pages have no such field
    for written in _field_values(wikitext):
        value = number_in_text(config.object_number_pattern, written)
        if value is None:
            shown = plain_text(str(mwparserfromhell.parse(written).strip_code(keep_template_params=True)))
            value = shown if 0 < len(shown) <= _LONGEST else None
        if value:
            return ObjectNumber(value, "template")
    return None


def _field_values(wikitext: str) -> Iterator[str]:
    code = mwparserfromhell.parse(wikitext)
    for template in code.filter_templates():
        for field in template.params:
            if str(field.name).strip().lower().replace("_", " ") in _TEMPLATE_FIELDS:
                value = mwparserfromhell.parse(str(field.value))
                for comment in value.filter_comments():
                    value.remove(comment)
                yield str(value).strip()
