"""Whether two ways of writing an author may mean the same one. Pure."""

import re

from wiki_sync.names.letters import epithet_letters

_WORDS = re.compile(r"[^\W\d_]+")
_BRACKETS = re.compile(r"\(([^()]*)\)")
_YEAR = re.compile(r"1[7-9]\d\d|20\d\d")
SAME_YEAR = 3
"""Years that a book's date may be off: parts came out over years."""
_EDITORS = re.compile(r"\bin\b.*")
_SMALL = frozenset({"et", "ex", "in", "and", "fil", "filius", "al", "von", "van", "der", "den", "de", "du", "la"})
_SHORT = {"dc": "candolle", "linn": "linnaeus", "linne": "linnaeus", "l": "linnaeus"}


def may_agree(written: str, known: str) -> bool | None:
    """Return whether both may name the same author; None where one of them names nobody, or not enough to tell.

    `L.`, `Linn.` and `Linnaeus` agree, so do `Rchb.` and `Reichenbach`: the letters of the shorter come in the longer
    in their order, beginning with the first. Editors after "in" do not count. Of `(A) B` both must agree with `(C) D`;
    with a plain `B` it stays open, for that may be another name by the same author; so it does where the years lie
    apart, or where another one made the name valid (`A ex B`). It is made to notice another
    author, not to prove the same one.
    """
    ours, theirs = _parts(written), _parts(known)
    if not any(ours) or not any(theirs):
        return None
    if not _meet(ours[0] | ours[1], theirs[0] | theirs[1]):
        return False
    if _years_part(written, known) or not _meet(_validating(written), _validating(known)):
        return None
    if all(ours) and all(theirs):
        return _meet(ours[0], theirs[0]) and _meet(ours[1], theirs[1])
    whole, plain = (ours, theirs) if all(ours) else (theirs, ours)
    if all(whole) and not plain[0] and not _meet(whole[0], plain[1]):
        return None
    return True


def _parts(text: str) -> tuple[set[str], set[str]]:
    """Return the authors in brackets, who named the species first, and those after them."""
    first = " ".join(_BRACKETS.findall(text))
    return _authors(first), _authors(_BRACKETS.sub(" ", text))


def _validating(text: str) -> set[str]:
    """Return the authors after the last "ex", who made the name valid; all where there is no "ex"."""
    return _authors(text.rpartition(" ex ")[2])


def _years_part(one: str, other: str) -> bool:
    """Return whether both tell years, and these lie too far apart to be a slip."""
    ours, theirs = _YEAR.findall(one), _YEAR.findall(other)
    return bool(ours and theirs) and all(abs(int(a) - int(b)) > SAME_YEAR for a in ours for b in theirs)


def _meet(ours: set[str], theirs: set[str]) -> bool:
    return any(_abbreviates(*sorted((one, other), key=len)) for one in ours for other in theirs)


def _authors(text: str) -> set[str]:
    without_editors = _EDITORS.sub(" ", text)
    names = {epithet_letters(word).lower() for word in _WORDS.findall(without_editors) if word[0].isupper()}
    names = {_SHORT.get(name, name) for name in names if name not in _SMALL}
    return {name for name in names if len(name) > 1}


def _abbreviates(short: str, long: str) -> bool:
    if short[0] != long[0]:
        return False
    rest = iter(long)
    return all(letter in rest for letter in short)
