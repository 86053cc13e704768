"""Written names taken apart: what is read, what is doubted, and that nothing is made up."""

import csv
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.paths import data_folder
from wiki_sync.names import CleanName, Doubt, clean
from wiki_sync.names.answers import Match, MatchKind, Usage
from wiki_sync.names.authors import may_agree
from wiki_sync.names.letters import epithet_letters, mended
from wiki_sync.names.rules import is_slip, trusted
from wiki_sync.names.wikidata import OldName, in_use

READ = [
    ("Scolopax rusticola, Linn.", "Scolopax rusticola", "Linn"),
    ("Turdus Merula, Linn. 1758", "Turdus merula", "Linn. 1758"),
    ("Pitta Vigorsii", "Pitta vigorsii", ""),
    ("TURDUS MERULA LINN.", "Turdus merula", "Linn"),
    ("Muſca domeſtica L.", "Musca domestica", "L"),
    ("Œnanthe œnanthe", "Oenanthe oenanthe", ""),
    ("Dreyfusia nüßlini", "Dreyfusia nuesslini", ""),
    ("Isoëtes lacustris", "Isoetes lacustris", ""),
    ("[Parus major]", "Parus major", ""),
    ("Mus musculus ct. Linn.", "Mus musculus", "ct. Linn"),
    ("<i>Parus major</i> Linnaeus, 1758", "Parus major", "Linnaeus, 1758"),
    ("Quadrella steyermarkii (Standl.) Iltis &amp; Cornejo", "Quadrella steyermarkii", "(Standl.) Iltis & Cornejo"),
    ("P\u0430rus m\u0430jor", "Parus major", ""),
    ("Oxalis_barrelieri", "Oxalis barrelieri", ""),
    ("hyloicus pinastri", "Hyloicus pinastri", ""),
    ("Vanessa c-album", "Vanessa c-album", ""),
    ("Junellia o'donelli Moldenke, 1946", "Junellia odonelli", "Moldenke, 1946"),
    ("Tilia x europaea", "Tilia × europaea", ""),
    ("Pinus nigra J.F. Arnold subsp. laricio (Poir.) Maire", "Pinus nigra subsp. laricio", "(Poir.) Maire"),
    ("Falco peregrinus ssp. peregrinus", "Falco peregrinus subsp. peregrinus", ""),
    ("Polyommatus (Lysandra) bellargus", "Polyommatus bellargus", ""),
    ("Sneeuwgors (Plectrophenax nivalis)", "Plectrophenax nivalis", ""),
    ("Abies Mill.", "Abies", "Mill"),
    ("Falco peregrinus ♀ juv.", "Falco peregrinus", "juv"),
    ("Fig. 12. Parus major", "Parus major", ""),
    ("3) Parus major", "Parus major", ""),
    ("Rosa Linnaeus", "Rosa", "Linnaeus"),
    ("Pseudocercospora Spegazzini, 1910", "Pseudocercospora", "Spegazzini, 1910"),
    ("Recilia truncatus Dash & Viraktamath, 1998: 29", "Recilia truncatus", "Dash & Viraktamath, 1998: 29"),
]
DOUBTED = [
    ("Parus cf. major", "Parus major", Doubt.UNCERTAIN),
    ("Parus ? major", "Parus major", Doubt.UNCERTAIN),
    ("Acarinina aff pentacamerata", "Acarinina pentacamerata", Doubt.UNCERTAIN),
    ("Parus sp.", "Parus", Doubt.OPEN),
    ("Acastoides spp.", "Acastoides", Doubt.OPEN),
    ("Motacilla alba var. ...", "Motacilla alba", Doubt.OPEN),
    ("Acidalia remutaria ab. undularia", "Acidalia remutaria", Doubt.OPEN),
    ("Salix alba × S. fragilis", "", Doubt.HYBRID),
    ("Agrostis L. × Polypogon Desf.", "", Doubt.HYBRID),
    ("Rosa gallica 'Officinalis'", "Rosa gallica", Doubt.CULTIVAR),
    ("Rosa gallica cv. Officinalis", "Rosa gallica", Doubt.CULTIVAR),
    ("Gentiana lutea major flore luteo", "", Doubt.POLYNOMIAL),
    ("Parus capite nigro, temporibus albis", "", Doubt.POLYNOMIAL),
    ("Rosa gallica Bauhin, 1623", "Rosa gallica", Doubt.OLD),
    ("Turdus musicus auct.", "Turdus musicus", Doubt.SENSE),
    ("Senecio legionensis sensu Samp., non Lange", "Senecio legionensis", Doubt.SENSE),
    ("Aster exilis Ell., nomen dubium", "Aster exilis", Doubt.SENSE),
    ("P. major", "", Doubt.ABBREVIATED),
    ("Stenoecia dos Freyer, 1838", "Stenoecia", Doubt.UNREAD),
    ("Calathus (Lindrothius)", "Calathus", Doubt.UNREAD),
    ("Bird of Washington", "Bird", Doubt.UNREAD),
    ("Papilio, Machaon", "Papilio", Doubt.UNREAD),
    ("Lanius Excubitor. Linn.", "Lanius", Doubt.UNREAD),
    ("Parus major [ater]", "Parus major", Doubt.UNREAD),
    ("Oxytox[idae] Lindermann", "", Doubt.UNREAD),
    ("Boheemsche Appel · Poma Bohemica · Pomme de Bohème", "", Doubt.UNREAD),
    ("", "", Doubt.EMPTY),
    ("NOT ASSIGNED", "", Doubt.EMPTY),
    ("onbekend", "", Doubt.EMPTY),
    ("Bewick's Wren", "", Doubt.EMPTY),
]


@pytest.mark.parametrize(("written", "name", "author"), READ)
def test_a_name_is_read_as_it_was_meant(written: str, name: str, author: str) -> None:
    found = clean(written)
    assert (found.name, found.authorship, found.doubts) == (name, author, frozenset())
    assert found.spellings[0] == name


@pytest.mark.parametrize(("written", "name", "doubt"), DOUBTED)
def test_what_is_not_certain_is_doubted(written: str, name: str, doubt: Doubt) -> None:
    found = clean(written)
    if doubt is not Doubt.UNREAD or name:
        assert found.name == name
    assert doubt in found.doubts
    assert not found.is_clear


def test_capitals_that_were_mended_allow_the_very_name_only() -> None:
    assert clean("Poma Bohemica").exact_only
    assert clean("TURDUS MERULA").exact_only
    assert clean("turdus merula").exact_only
    assert not clean("Turdus merula Linnaeus").exact_only


def test_the_forms_under_which_a_name_may_be_known_are_told() -> None:
    assert clean("Alcedo atthis ispida").spellings[:2] == ("Alcedo atthis ispida", "Alcedo atthis subsp. ispida")
    assert clean("Alcedo atthis subsp. ispida").spellings[1] == "Alcedo atthis ispida"
    assert "Tilia ×europaea" in clean("Tilia × europaea").spellings


LATIN = st.from_regex(r"[a-z]{3,9}(us|a|um|is|ii)", fullmatch=True)
GENUS = LATIN.map(str.capitalize)
AUTHOR = st.sampled_from(["L.", "Linnaeus, 1758", "(Mill.) Rchb.", "Gould", ", Linn.", "Vieill. & Ord", ""])
MARK = st.sampled_from(["?", "cf.", "cf", "aff.", "nr.", "(?)", "? cf."])
PIECES = st.sampled_from(
    [
        *("Parus", "major", "L.", "Linn.", "cf.", "?", "sp.", "var.", "×", "x", "(", ")", "[", "]", "'", '"', ",", "&"),
        *("et", "ct.", "de", "1758", "1623", "subsp.", "f.", "Major", "MAJOR", "c-album", "ſ", "œ", "é", "·", "/", "_"),
        *("<i>", "</i>", "&amp;", "non", "auct.", "ä", "а", "о", "...", "-", "novum", "Vigorsii", ";", ":", "hort."),
    ]
)
ANYTHING = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=9).map(" ".join), st.lists(PIECES).map("".join))


@settings(max_examples=400, deadline=None)
@given(ANYTHING)
def test_cleaning_twice_is_cleaning_once(written: str) -> None:
    name = clean(written).name
    assert clean(name).name == name


@settings(max_examples=400, deadline=None)
@given(ANYTHING)
def test_no_word_of_a_name_is_made_up(written: str) -> None:
    """Each word stands in the source, letter for letter once type, accents and capitals are levelled."""
    level = re.sub(r"[^a-z-]", "", epithet_letters(mended(written)).lower())
    for word in clean(written).name.split():
        if word != "×" and not word.endswith("."):
            assert word.lower() in level


@settings(max_examples=200, deadline=None)
@given(GENUS, LATIN, MARK, AUTHOR, st.integers(0, 2))
def test_a_name_that_its_writer_doubted_is_never_clear(
    genus: str, epithet: str, mark: str, author: str, place: int
) -> None:
    words = [genus, epithet]
    words.insert(place, mark)
    found = clean(" ".join([*words, author]))
    assert not found.is_clear
    sure = Usage("1", found.name or "x", "", "species", "accepted")
    assert trusted(found, Match(MatchKind.EXACT, sure, sure, {}, 100, "exact")).qid is None


@settings(max_examples=200, deadline=None)
@given(GENUS, LATIN, AUTHOR)
def test_a_plain_name_is_read_whatever_its_author(genus: str, epithet: str, author: str) -> None:
    assert clean(f"{genus} {epithet} {author}").name == f"{genus} {epithet}"


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ("L.", "Linnaeus, 1758", True),
        ("Linn.", "(Linnaeus, 1758)", True),
        ("Rchb.", "Reichenbach", True),
        ("DC.", "de Candolle", True),
        ("Müll.", "Müller", True),
        ("Linn.", "Gmelin, 1789", False),
        ("Gould", "Cretzschmar, 1827", False),
        ("L.", "Latham", False),
        ("Humb. & Bonpl. ex Roem. & Schult.", "Willd. in Roem. & Schult.", False),
        ("(Kunth ex Chapman) Nees", "Nees", None),
        ("(L.) Mill.", "L.", True),
        ("(L.) Mill.", "(Lam.) Mill.", False),
        ("Lam. ex Kuntze", "Rumph. ex Lam.", None),
        ("Wight, 1846", "R. Wight, 1837", None),
        ("Linnaeus, 1767", "Linnaeus, 1766", True),
        ("", "Linnaeus", None),
        ("1758", "Linnaeus", None),
    ],
)
def test_authors_agree_or_not(one: str, other: str, agree: bool | None) -> None:
    assert may_agree(one, other) is agree


@pytest.mark.parametrize(
    ("written", "known", "slip"),
    [
        ("Dilephila euphorbiae", "Deilephila euphorbiae", True),
        ("Saturnia pavonia", "Saturnia pavona", True),
        ("Parus ater", "Parus aten", True),
        ("Parus ater", "Larus ater", False),
        ("Parus ater", "Parus major", False),
        ("Parus", "Panus", False),
        ("Parus Ater", "Parus aten", False),
        ("Parus ater", "Parus ater ater", False),
    ],
)
def test_a_slip_is_two_letters_and_never_the_first(written: str, known: str, slip: bool) -> None:
    assert is_slip(clean(written), known) is slip


def test_an_outdated_name_leads_to_the_one_in_use() -> None:
    known = {
        "Q1": OldName(synonym_of=frozenset({"Q2"})),
        "Q2": OldName(own=frozenset({"Q1"}), synonym_of=frozenset({"Q3"})),
        "Q4": OldName(first_name_of=frozenset({"Q5"}), own=frozenset({"Q5"})),
        "Q6": OldName(synonym_of=frozenset({"Q7"}), own=frozenset({"Q7"})),
        "Q8": OldName(synonym_of=frozenset({"Q9"})),
        "Q9": OldName(synonym_of=frozenset({"Q8"})),
        "Q10": OldName(first_name_of=frozenset({"Q11", "Q12"})),
    }
    assert in_use("Q1", known) == {"Q3"}
    assert in_use("Q3", known) == {"Q3"}
    assert in_use("Q4", known) == {"Q4"}
    assert in_use("Q6", known) == {"Q6", "Q7"}
    assert in_use("Q8", known) == {"Q8", "Q9"}
    assert in_use("Q10", known) == {"Q11", "Q12"}


def parser_cases() -> list[dict[str, str]]:
    with (data_folder() / "names" / "gnparser_cases.tsv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table, delimiter="\t"))


def test_names_as_people_write_them_are_read_as_the_parser_reads_them_or_doubted() -> None:
    """Of what a specialised parser reads, we take the same name or none; what it refuses we refuse nearly always."""
    read = [(row, clean(row["name_input"])) for row in parser_cases()]
    clear = [(row, name) for row, name in read if name.is_clear and row["parsed"] == "True"]
    other = [row["name_input"] for row, name in clear if name.name != row["canonical"] and not name.exact_only]
    assert len(clear) > 340
    assert len(other) <= 8, other
    refused = [name for row, name in read if row["parsed"] == "False"]
    assert sum(not name.is_clear for name in refused) / len(refused) > 0.9


def test_what_stands_where_a_name_is_missing_is_no_name() -> None:
    lines = (data_folder() / "names" / "gbif-matching" / "blacklisted.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if clean(line).is_clear] == []


def test_letters_that_only_look_latin_are_mended() -> None:
    """The table has one group of look-alikes a line; the letters that we mend stand in the Latin letter's group."""
    lines = (data_folder() / "names" / "homoglyphs.txt").read_text("utf-8").splitlines()
    groups = [set(line) for line in lines if line and not line.startswith("#")]
    for latin, other in [("a", "а"), ("o", "о"), ("e", "е"), ("c", "с"), ("p", "р"), ("x", "х"), ("i", "і")]:
        assert any({latin, other} <= group for group in groups)
        assert mended(f"b{other}b") == f"b{latin}b"


def test_a_clean_name_is_plain_data() -> None:
    assert clean("Parus major") == CleanName("Parus major", "Parus major", spellings=("Parus major",))
