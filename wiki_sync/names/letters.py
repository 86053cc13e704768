"""Letters of written names: made into those in which scientific names are printed today.

Old type (long s, ligatures), accents, letters of other alphabets that only look Latin, markup and odd spaces. The
words stay the same words: nothing is added that stands for no letter of the source.
"""

import re
import unicodedata

from wiki_sync.html import plain_text

_LIGATURES = str.maketrans(
    {
        "ſ": "s",
        "ﬀ": "ff",
        "ﬁ": "fi",
        "ﬂ": "fl",
        "ﬃ": "ffi",
        "ﬄ": "ffl",
        "ﬅ": "st",
        "ﬆ": "st",
        "æ": "ae",
        "œ": "oe",
        "Æ": "Ae",
        "Œ": "Oe",
        "ß": "ss",
        "ø": "oe",
        "Ø": "Oe",
        "ł": "l",
        "ı": "i",
    }
)
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"),
        **dict.fromkeys("‘’‛ʼ´`′＇", "'"),
        **dict.fromkeys("“”„‟″＂«»", '"'),
        **dict.fromkeys("†‡*♀♂⚥\u00ad\u200b\u200c\u200d\u2060\ufeff", ""),
        **dict.fromkeys("•·|", ";"),
        **dict.fromkeys("✕✖⨯╳", "×"),
        **dict.fromkeys("？﹖", "?"),
        **dict.fromkeys("，﹐", ","),
        **dict.fromkeys("［", "["),
        **dict.fromkeys("］", "]"),
    }
)
# Only letters whose printed form is the same as the Latin one in most typefaces.
_CYRILLIC = dict(zip("АВЕЅІЈКМНОРСТХУЬаеѕіјорсухԁһ", "ABESIJKMHOPCTXYbaesijopcyxdh", strict=True))
_GREEK = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧονικα", "ABEZHIKMNOPTYXovika", strict=True))
_ALIKE = str.maketrans(_CYRILLIC | _GREEK)
_LATIN = re.compile(r"[A-Za-z]")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "å": "ao"})
_DIAERESIS = re.compile(r"(?<=[aeou])ö|(?<=[aeo])ü|(?<=[eio])ä")
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|&(?:#\d+|#x[0-9A-Fa-f]+|[A-Za-z]+);")


def mended(text: str) -> str:
    """Return the text on one line in plain letters and signs: no markup, no ligatures, no look-alike letters.

    Accents stay, as names of authors have them; `epithet_letters` takes them from the words of a name.
    """
    plain = plain_text(text) if _MARKUP.search(text) else text
    plain = unicodedata.normalize("NFC", plain).translate(_SIGNS).translate(_LIGATURES)
    if " " not in plain.strip() and "_" in plain:
        plain = plain.replace("_", " ")
    return " ".join(_latin_word(word) for word in plain.split())


def _latin_word(word: str) -> str:
    """Return a word with look-alike letters of other alphabets as Latin ones, if all others in it are Latin."""
    if word.isascii() or not _LATIN.search(word):
        return word
    return word.translate(_ALIKE)


def epithet_letters(word: str) -> str:
    """Return one word of a name without accents, as the codes write them.

    German umlauts become two letters, a diaeresis (`aëdon`, `Oönopsis`) is dropped, and so are all other accents.
    """
    composed = unicodedata.normalize("NFC", word)
    apart = _DIAERESIS.sub(lambda found: {"ö": "o", "ü": "u", "ä": "a"}[found[0]], composed).translate(_UMLAUTS)
    spread = unicodedata.normalize("NFKD", apart)
    return "".join(letter for letter in spread if not unicodedata.combining(letter))
