"""A written name taken apart: the name itself, its author, and every reason to doubt it. Pure; asks nobody.

Takes what museums and old books write: commas before authors, old letters, capital epithets, brackets, markup. It
makes no word that the source has not, completes no abbreviation and corrects no spelling. Whatever it cannot read
becomes a doubt, and a name with a doubt is never accepted without a person. Ideas of what occurs: the International
Codes (ICN art. 23 and 60, ICZN art. 25 to 32) and the terms of open nomenclature (Sigovini et al. 2016).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from wiki_sync.names import words
from wiki_sync.names.letters import epithet_letters, mended

LONGEST = 400
FIRST_YEAR = 1753
"""Of names as the codes know them: the Species Plantarum; animals follow in 1758."""

_TOKENS = re.compile(r"[()]|[,;/:]|×|[^\s(),;/:×]+")
_GENUS = re.compile(r"[A-Z][a-z]+(?:-[A-Za-z][a-z]+)*")
_EPITHET = re.compile(r"[a-z]{2,}(?:-[a-z]+)*|[a-z](?:-[a-z]{2,})+")
_ABBREVIATED = re.compile(r"[A-Z][a-z]{0,3}\.")
_YEAR = re.compile(r"(?:1[4-9]|20)\d\d[a-z]?")
_CULTIVAR = re.compile(r"(?<=\S)\s+(?:'[^'\s][^']*'|\"[^\"]+\")")
_IN_BRACKETS = re.compile(r"([^()]*)\(([A-Z][a-z-]+(?: [a-z-]{2,}){1,2})\)[\s.]*")
_GLUED_RANK = re.compile(r"\b(var|subsp|ssp|subvar|f)\.(?=[a-z]{3})")
_ASIDE_IN_BRACKETS = re.compile(r"(\w+ \S+.*?)\s*\[([^\]]*)\](.*)")
_NUMBERING = re.compile(r"\s*(?:\d+[.)]|(?:fig|pl|tab|taf|no|nr)\.?\s*\d+[.:,)]?)\s+(?=\S)", re.IGNORECASE)
_INSIDE_WORD = re.compile(r"[A-Za-z]\[[^\]]*\]|\[[^\]]*\][A-Za-z]")
_BELOW = words.OPEN | words.BELOW_RANKS | frozenset(words.RANKS) - {"f"}


class Doubt(StrEnum):
    """Why a written name may not be what it looks like."""

    EMPTY = "empty"
    """Nothing in it is a name."""
    UNCERTAIN = "uncertain"
    """The writer was not sure: `?`, `cf.`, `aff.`."""
    OPEN = "open"
    """It names no species, or a rank without an epithet: `sp.`, `spp.`, `var. ...`."""
    HYBRID = "hybrid"
    """A formula of two parents."""
    CULTIVAR = "cultivar"
    """A garden form."""
    POLYNOMIAL = "polynomial"
    """A phrase of many words, as before Linnaeus."""
    OLD = "old"
    """From before the names of today began."""
    SENSE = "sense"
    """Not in its author's sense (`sensu`, `auct.`, `non`), or not a proper name (`nom. nud.`)."""
    ABBREVIATED = "abbreviated"
    """The genus is only an initial."""
    UNREAD = "unread"
    """Words are left that are neither name nor author."""


@dataclass(frozen=True)
class CleanName:
    """What was read. `name` is "" where there is none to ask for; `spellings` are the forms in which it may stand
    elsewhere, itself first. `exact_only`: capitals were mended, so only the very name may be taken for it."""

    verbatim: str
    name: str
    authorship: str = ""
    doubts: frozenset[Doubt] = frozenset()
    exact_only: bool = False
    spellings: tuple[str, ...] = ()

    @property
    def is_clear(self) -> bool:
        """Whether it may be matched without a person."""
        return bool(self.name) and not self.doubts

    @property
    def n_words(self) -> int:
        """How many words the name has: 1 for a genus and above, 2 for a species, 3 below."""
        return n_words(self.name)


def n_words(name: str) -> int:
    """Return how many words of a scientific name are names: no rank words, no hybrid signs."""
    return sum(1 for word in name.split() if not word.endswith(".") and word not in ("×", "x"))


def clean(verbatim: str) -> CleanName:
    """Return what a written name says. The same for its own `name`: nothing more is found there."""
    text, doubts = _without_brackets(mended(verbatim)[:LONGEST])
    if "?" in text:
        doubts.add(Doubt.UNCERTAIN)
        text = text.replace("?", " ")
    cut = _CULTIVAR.search(text)
    if cut:
        doubts.add(Doubt.CULTIVAR)
        text = text[: cut.start()]
    shouted = _is_shouted(text)
    tokens = _TOKENS.findall(_GLUED_RANK.sub(r"\1. ", _spoken(text) if shouted else text))
    if _says_nothing(tokens):
        return CleanName(verbatim, "", doubts=frozenset({*doubts, Doubt.EMPTY}))
    reading = _Reading(tokens, doubts, exact_only=shouted)
    reading.read()
    name = " ".join(reading.name)
    return CleanName(
        verbatim, name, reading.authorship, frozenset(reading.doubts), reading.exact_only, _spellings(reading.name)
    )


def _without_brackets(text: str) -> tuple[str, set[Doubt]]:
    """Return the text without an editor's brackets, quotes around all of it, or a vernacular name before brackets."""
    doubts: set[Doubt] = set()
    if _INSIDE_WORD.search(text):
        doubts.add(Doubt.UNREAD)  # half a word was supplied by somebody else
    aside = _ASIDE_IN_BRACKETS.fullmatch(text)
    if aside and not aside[2].strip(" ?").isdecimal():
        doubts.add(Doubt.UNREAD)  # an editor's remark after the name: perhaps another name
        text = aside[1] + aside[3]
    text = text.replace("[", "").replace("]", "").strip()
    text = _NUMBERING.sub("", text, count=1) if _NUMBERING.match(text) else text
    while len(text) > 1 and text[0] + text[-1] in ('""', "''", "()") and text[0] not in text[1:-1]:
        text = text[1:-1].strip()
    found = _IN_BRACKETS.fullmatch(text)
    if found and len(found[1].split()) == 1:
        text = found[2]  # "Sneeuwgors (Plectrophenax nivalis)": one word before cannot be a species
    return text, doubts


def _is_shouted(text: str) -> bool:
    return text.isupper() and sum(letter.isalpha() for letter in text) > 3


def _spoken(text: str) -> str:
    """Return a text in capitals as it would be written: a capital genus, small words, names of authors with dots."""
    first, *others = text.split()
    return " ".join([first.capitalize(), *(_spoken_word(word) for word in others)])


def _spoken_word(word: str) -> str:
    is_author = any(sign in word for sign in ".,(&") and _bare(word) not in words.SMALL_WHEN_SHOUTED
    return word.title() if is_author else word.lower()


def _bare(token: str) -> str:
    return token.strip(".").replace(".", "").lower()


def _says_nothing(tokens: Sequence[str]) -> bool:
    if not any(letter.isalpha() for token in tokens for letter in token):
        return True
    bare = [_bare(token) for token in tokens]
    first = next((word for word in bare if word not in ("×", "x") and word.isalpha()), "")
    return first in words.NO_NAMES or any(words.NO_TAXA.fullmatch(word) for word in bare) or bare[:2] == ["n", "/"]


def _spellings(name: Sequence[str]) -> tuple[str, ...]:
    """Return the forms of a name under which it may be known: with and without rank words, hybrid signs close by."""
    whole = " ".join(name)
    forms = [whole]
    markers = [word for word in name if word.endswith(".")]
    if markers:
        forms.append(" ".join(word for word in name if not word.endswith(".")))
    elif len(name) == 3 and "×" not in name:
        forms += [f"{name[0]} {name[1]} {rank} {name[2]}" for rank in ("subsp.", "var.", "f.")]
    if "×" in name:
        forms += [whole.replace("× ", "×"), whole.replace("× ", "x ")]
    return tuple(dict.fromkeys(form for form in forms if form))


@dataclass
class _Reading:
    """One pass over the words of a name, from left to right."""

    tokens: list[str]
    doubts: set[Doubt]
    exact_only: bool = False
    name: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    at: int = 0

    @property
    def authorship(self) -> str:
        """The author's words, as text."""
        text = " ".join(self.tail)
        return re.sub(r"\s+([,;:)])", r"\1", text).replace("( ", "(").strip(" ,;:.&-") if text else ""

    def read(self) -> None:
        """Read all words."""
        if not self._genus():
            return
        self._epithets()
        self._rest()
        if not self.name:
            self.tail = []

    def _next(self, step: int = 0) -> str:
        place = self.at + step
        return self.tokens[place] if place < len(self.tokens) else ""

    def _nothing(self, doubt: Doubt) -> bool:
        self.doubts.add(doubt)
        self.name = []
        return False

    def _genus(self) -> bool:
        """Read the genus, or the one word of a higher name; False if there is none."""
        while self._next() and (_bare(self._next()) in words.UNCERTAIN or self._next() in (",", ";", ":", "/")):
            self.doubts.add(Doubt.UNCERTAIN)
            self.at += 1
        if self._next() in ("×", "x", "X") and _GENUS.fullmatch(epithet_letters(self._next(1))):
            self.name.append("×")
            self.at += 1
        elif re.fullmatch(r"[xX][A-Z][a-z]+", self._next()):
            self.name.append("×")
            self.tokens[self.at] = self._next()[1:]
        token = self._next()
        if _bare(token) in words.GROUPS:
            return self._nothing(Doubt.UNREAD)
        if _ABBREVIATED.fullmatch(token):
            return self._nothing(Doubt.ABBREVIATED)
        word = epithet_letters(token.rstrip("."))
        if _EPITHET.fullmatch(word) and "-" not in word:
            word, self.exact_only = word.capitalize(), True
        if not _GENUS.fullmatch(word):
            return self._nothing(Doubt.EMPTY)
        self.name.append(_one_capital(word))
        self.at += 1
        if self._next() == "(" and self._next(2) == ")" and _epithet(self._next(3)):
            self.at += 3  # a subgenus between genus and species
        return True

    def _epithets(self) -> None:
        while self.at < len(self.tokens) and self._one_word():
            pass

    def _one_word(self) -> bool:
        """Take the word at hand into the name; False where the name ends."""
        token, bare = self._next(), _bare(self._next())
        if bare in words.UNCERTAIN:
            self.doubts.add(Doubt.UNCERTAIN)
        elif bare in words.OPEN or bare in words.BELOW_RANKS:
            self.doubts.add(Doubt.OPEN)
            return False
        elif bare in words.CULTIVATED:
            self.doubts.add(Doubt.CULTIVAR)
            return False
        elif bare in words.GROUPS:
            return self._nothing(Doubt.UNREAD)
        elif token in ("×", "x", "X"):
            return self._hybrid()
        elif self._is_rank(self.at):
            return self._below_species()
        else:
            return self._plain_epithet()
        self.at += 1
        return True

    def _is_rank(self, place: int) -> bool:
        token = self.tokens[place]
        bare = _bare(token)
        if bare not in words.RANKS or not token.islower():
            return False
        return bare != "f" or bool(place + 1 < len(self.tokens) and _epithet(self.tokens[place + 1]))

    def _below_species(self) -> bool:
        epithet = _epithet(self._next(1))
        if not epithet or n_words(" ".join(self.name)) < 2:
            self.doubts.add(Doubt.OPEN)  # "var." and nothing after it
            return False
        self.name += [words.RANKS[_bare(self._next())], epithet]
        self.at += 2
        return True

    def _hybrid(self) -> bool:
        epithet = _epithet(self._next(1))
        if (len(self.name) > 1 and self.name[0] != "×") or len(self.name) > 2 or not epithet:
            return self._nothing(Doubt.HYBRID)
        self.name += ["×", epithet]
        self.at += 2
        return True

    def _plain_epithet(self) -> bool:
        token = self._next()
        epithet = _epithet(token)
        if not epithet and self._is_capital_epithet():
            epithet, self.exact_only = _epithet(token.lower()), True
        if not epithet:
            return False
        if n_words(" ".join(self.name)) >= 3:
            return self._nothing(Doubt.POLYNOMIAL)
        self.name.append(epithet)
        self.at += 1
        return True

    def _is_capital_epithet(self) -> bool:
        """Say whether a capital word stands where old books print a capital epithet, and is no author.

        `Pitta Vigorsii` yes; `Abies Mill.`, `Rosa, Linnaeus`, `Abella Heyden, 1826`, `Acacia Smith & Jones` no.
        """
        token, after = self._next(), self._next(1)
        if not re.fullmatch(r"[A-Z][a-z-]{2,}", epithet_letters(token)) or _bare(token) in words.AUTHORS:
            return False
        if n_words(" ".join(self.name)) > 1 and not self.exact_only:
            return False
        if after == "," and _YEAR.fullmatch(self._next(2)):
            return False
        return not _YEAR.fullmatch(after) and _bare(after) not in words.BETWEEN_AUTHORS

    def _rest(self) -> None:
        """Read what follows the name: authors and years, and what else there is."""
        small = 0
        if n_words(" ".join(self.name)) == 1 and self._is_perhaps_more():
            self.doubts.add(Doubt.UNREAD)
        while self.at < len(self.tokens):
            token, bare = self._next(), _bare(self._next())
            if self.name and n_words(" ".join(self.name)) > 1 and self._is_rank(self.at) and _epithet(self._next(1)):
                self.tail = []  # the author of the species, not of the variety
                self._epithets()
                continue
            small += self._one_of_the_rest(token, bare)
            self.at += 1
        if small > 1 and n_words(" ".join(self.name)) > 1:
            self._nothing(Doubt.POLYNOMIAL)

    def _is_perhaps_more(self) -> bool:
        """Say whether what follows a single word may be a part of the name instead of its author.

        `Calathus (Lindrothius)`, `Ruteloryctes bis`, `Papilio, Machaon`, `Lanius Excubitor. Linn.` yes;
        `Rosa, Linnaeus`, `Abies Mill.`, `Abella Heyden, 1826` no.
        """
        rest = [word for word in self.tokens[self.at :] if word != ","]
        if not rest:
            return False
        if _bare(rest[0]) in words.BETWEEN_AUTHORS or (rest[0] == "(" and rest[2:3] == [")"]):
            return True
        if not re.fullmatch(r"[A-Z][a-z-]{3,}\.?", epithet_letters(rest[0])) or _bare(rest[0]) in words.AUTHORS:
            return False
        if rest[0].endswith("."):
            return len(rest) > 1 and _is_author(rest[1]) and _bare(rest[1]) not in words.BETWEEN_AUTHORS
        return not any(_YEAR.fullmatch(word.strip(".-")) for word in rest)

    def _is_of_authors(self, token: str, bare: str) -> bool:
        if token in ("(", ")", ",", "&") or bare in words.BETWEEN_AUTHORS | words.PARTICLES | words.ASIDES:
            return True
        return self._is_page() or _is_author(token)

    def _is_page(self) -> bool:
        """Say whether a colon or a number here tells the page of a book: `1998: 29`."""
        before, here, after = self._next(-1), self._next(), self._next(1)
        return (before == ":" and here.isdecimal()) or (here == ":" and after.isdecimal())

    def _one_of_the_rest(self, token: str, bare: str) -> int:
        """Take one word after the name; 1 if it is a small word that belongs to no author."""
        year = _YEAR.fullmatch(token.strip(".-"))
        if year:
            if int(token.strip(".-")[:4]) < FIRST_YEAR:
                self.doubts.add(Doubt.OLD)
        elif token in ("×", "x", "X"):
            self._nothing(Doubt.HYBRID)
        elif bare in words.UNCERTAIN:
            self.doubts.add(Doubt.UNCERTAIN)
        elif bare in _BELOW and token.islower():
            self.doubts.add(Doubt.OPEN)
        elif bare in words.SENSE and (token.islower() or bare in ("auct", "auctt", "sensu", "hort")):
            self.doubts.add(Doubt.SENSE)
        elif bare in words.CULTIVATED:
            self.doubts.add(Doubt.CULTIVAR)
        elif bare in words.PARTICLES and len(self.name) == 1:
            self.doubts.add(Doubt.UNREAD)  # "Stenoecia dos Freyer": perhaps the particle is the epithet
        elif not self._is_of_authors(token, bare):
            self.doubts.add(Doubt.UNREAD)
            self.tail.append(token)
            return int(token.islower() and token.isalpha())
        self.tail.append(token)
        return 0


def _one_capital(word: str) -> str:
    return word[0] + word[1:].lower()


def _epithet(token: str) -> str:
    """Return a token as an epithet, or "" if it is none."""
    word = epithet_letters(token.rstrip(".")).replace("'", "")
    closed = words.PARTICLES | words.BETWEEN_AUTHORS | words.UNCERTAIN | words.OPEN | words.SENSE | words.GROUPS
    closed |= words.ASIDES
    if not _EPITHET.fullmatch(word) or word in closed or word in words.RANKS or word in words.BELOW_RANKS:
        return ""
    return "" if word in words.CULTIVATED else word


def _is_author(token: str) -> bool:
    """Say whether a word is written as names of authors are: a capital first, or an apostrophe and a capital."""
    letters = token.strip("'.-&\"")
    begin = letters[:1]
    return (
        bool(begin)
        and (begin.isupper() or re.match(r"(?:d|l|dell|o|m)'[^\W\d_]", letters) is not None)
        and all(letter.isalpha() or letter in "'.-&" for letter in letters)
    )
