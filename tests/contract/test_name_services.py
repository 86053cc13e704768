"""The chain of names against real HTTP: Wikidata's stand-in, and the three catalogues in their real shapes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import data_folder
from tests.support.standin import StandInCommons, World
from tests.support.standin_names import Catalogue, Entry, StandInNames, gbif_usages
from tests.support.standin_names.worlds import of_catalogue, plates_and_birds
from wiki_sync import WikiConfig
from wiki_sync.errors import BadAnswerError, BannedError, HostNotAllowedError, QueryRefusedError, TransientError
from wiki_sync.names import NameClient, NameResolver, NameServices, Resolution, Scope
from wiki_sync.names.answers import MatchKind

BIRDS = {"kingdom": "Animalia", "class": "Aves", "order": "Passeriformes", "family": "Laniidae"}
HERBS = {"kingdom": "Plantae", "class": "Magnoliopsida", "order": "Lamiales", "family": "Lamiaceae"}
SEA = {"kingdom": "Animalia", "class": "Gastropoda", "order": "Littorinimorpha", "family": "Littorinidae"}
AGENT = "IconesTest/0.1 (https://example.org/icones; icones@example.org)"


def a_world() -> World:
    """Birds, herbs and a snail, with keys of all three catalogues, an outdated name, and a few traps."""
    world = World()
    taxa = world.taxa
    taxa.add("Animalia", "kingdom", qid="Q10")
    taxa.add("Plantae", "kingdom", qid="Q11")
    taxa.add("Aves", "class", ["Q10"], qid="Q12")
    taxa.add("Laniidae", "family", ["Q12"], qid="Q13")
    taxa.add("Lamiaceae", "family", ["Q11"], qid="Q14")
    taxa.add("Littorinidae", "family", ["Q10"], qid="Q15")
    taxa.add("Lanius", "genus", ["Q13"], qid="Q20", ids={"gbif": "200"})
    taxa.add("Lanius minor", "species", ["Q20"], qid="Q21", ids={"gbif": "201"})
    taxa.add("Lanius rufus", "species", qid="Q22")
    taxa.add("Lanius senator", "species", ["Q20"], qid="Q23", ids={"gbif": "203"}, synonyms=["Q22"])
    taxa.add("Lanius doubleus", "species", ["Q20"], qid="Q24", ids={"gbif": "204"})
    taxa.add("Lanius doubleus alter", "subspecies", ["Q24"], qid="Q25", ids={"gbif": "204"})
    taxa.add("Prunella", "genus", ["Q14"], qid="Q30", author="L.")
    taxa.add("Prunella vulgaris", "species", ["Q30"], qid="Q31", ids={"col": "4MCX7"})
    taxa.add("Littorina littorea", "species", ["Q15"], qid="Q40", ids={"worms": "140262"})
    taxa.add("Lanius namesake", "species", ["Q20"], qid="Q41")
    return world


def entries() -> tuple[Catalogue, Catalogue, Catalogue]:
    """What the three catalogues know."""
    gbif = Catalogue(
        [
            Entry("200", "Lanius", "GENUS", "Linnaeus, 1758", lineage=BIRDS),
            Entry("201", "Lanius minor", authorship="Gmelin, 1788", lineage=BIRDS),
            Entry("202", "Lanius italicus", authorship="Latham", status="SYNONYM", accepted="201", lineage=BIRDS),
            Entry("203", "Lanius senator", authorship="Linnaeus, 1758", lineage=BIRDS),
            Entry("204", "Lanius doubleus", lineage=BIRDS),
            Entry("205", "Lanius falsus", status="MISAPPLIED", accepted="203", lineage=BIRDS),
            Entry("206", "Lanius dubius", status="DOUBTFUL", lineage=BIRDS),
            Entry("207", "Lanius nobodius", lineage=BIRDS),
            Entry("208", "Lanius namesake", lineage=HERBS),
            Entry("300", "Prunella", "GENUS", "L.", lineage=HERBS),
            Entry("301", "Prunella", "GENUS", "Vieillot, 1816", lineage=BIRDS),
        ]
    )
    col = Catalogue(
        [
            Entry("4MCX7", "Prunella vulgaris", lineage=HERBS),
            Entry("4XXXX", "Brunella vulgaris", status="SYNONYM", accepted="4MCX7", lineage=HERBS),
        ]
    )
    worms = Catalogue(
        [
            Entry("140262", "Littorina littorea", authorship="(Linnaeus, 1758)", lineage=SEA),
            Entry("140263", "Turbo littoreus", authorship="Linnaeus, 1758", status="UNACCEPTED", accepted="140262"),
        ]
    )
    return gbif, col, worms


@pytest.fixture
def wiki() -> Iterator[StandInCommons]:
    with StandInCommons(a_world()) as server:
        yield server


@pytest.fixture
def others() -> Iterator[StandInNames]:
    with StandInNames(*entries()) as server:
        yield server


def config(wiki: StandInCommons | None, folder: Path) -> WikiConfig:
    return WikiConfig(
        api_url=wiki.api_url if wiki else "https://commons.wikimedia.org/w/api.php",
        sparql_urls=(wiki.sparql_url,) if wiki else (),
        user_agent=AGENT,
        state_dir=folder,
        max_retries=1,
        retry_wait_s=0.01,
        timeout_s=2,
    )


def services(others: StandInNames, **changes: str) -> NameServices:
    told = {"gbif_url": others.gbif_url, "col_url": others.col_url, "worms_url": others.worms_url} | changes
    return NameServices(**told, pause_s=0)


@pytest.fixture
def resolver(wiki: StandInCommons, others: StandInNames, tmp_path: Path) -> Iterator[NameResolver]:
    with NameResolver(config(wiki, tmp_path), services(others)) as made:
        yield made


def one(resolver: NameResolver, written: str) -> Resolution:
    return resolver.resolve([written]).names[written]


def test_the_very_name_and_an_outdated_one_are_known_to_wikidata(resolver: NameResolver) -> None:
    found = resolver.resolve(["Lanius minor", "Lanius rufus, Briss."])
    own, old = found.names.values()
    assert (own.qid, own.matcher, own.match_type, own.confidence) == ("Q21", "wikidata", "name", None)
    assert (old.qid, old.match_type, old.matched_name, old.accepted_name) == (
        *("Q23", "synonym", "Lanius rufus", "Lanius senator"),
    )
    assert old.cleaned == "Lanius rufus"
    assert {"Q23", "Q20", "Q13", "Q12", "Q10"} <= found.facts.keys()


def test_a_synonym_that_only_gbif_knows_leads_to_the_item_of_its_key(resolver: NameResolver) -> None:
    found = one(resolver, "Lanius italicus Lath.")
    assert (found.qid, found.matcher, found.match_type, found.confidence) == ("Q21", "gbif", "exact", 99)
    assert (found.matched_name, found.accepted_name) == ("Lanius italicus", "Lanius minor")
    assert found.version.startswith("v2 ")


def test_one_letter_may_be_wrong_and_two_may_not(resolver: NameResolver) -> None:
    assert (one(resolver, "Lanius senatur").qid, one(resolver, "Lanius senatur").match_type) == ("Q23", "variant")
    far = one(resolver, "Lanius senattur")
    assert far.qid is None
    assert [(c.qid, c.source) for c in far.candidates] == [("Q23", "gbif")]
    assert one(resolver, "Lanius Senatur").qid is None


def test_the_catalogue_of_life_and_worms_are_asked_last(resolver: NameResolver, others: StandInNames) -> None:
    herb, snail = one(resolver, "Brunella vulgaris"), one(resolver, "Turbo littoreus")
    assert (herb.qid, herb.matcher, herb.matched_name) == ("Q31", "col", "Brunella vulgaris")
    assert (snail.qid, snail.matcher, snail.accepted_name) == ("Q40", "worms", "Littorina littorea")
    assert others.calls == {"gbif": 2, "col": 2, "worms": 1}


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("Prunella", "for something else too"),
        ("Prunella Vieill.", "names another author (Vieill)"),
        ("Lanius cf. minor", "not sure"),
        ("Lanius ?minor", "not sure"),
        ("Lanius sp.", "names no species"),
        ("Lanius minor × senator", "two parents"),
        ("Lanius cinereus major capite nigro", "many words"),
        ("Lanius minor Gessner, 1555", "older than the names of today"),
        ("Lanius italicus Gould", "another author than the catalogue (Latham)"),
        ("Lanius falsus", "misapplied"),
        ("Lanius dubius", "doubtful"),
        ("Lanius nobodius", "no item"),
        ("Lanius namesake", "for something else too"),
        ("Lanius unheardofus", "No catalogue knows this name."),
        ("Poma Bohemica", "No catalogue knows this name."),
        ("L. minor", "initial"),
        ("unbekannt", "does not look like"),
    ],
)
def test_what_is_not_certain_waits_for_a_person_and_says_why(resolver: NameResolver, written: str, why: str) -> None:
    found = one(resolver, written)
    assert (found.qid, found.is_complete) == (None, True)
    assert why in found.note


def test_a_key_that_two_items_bear_is_not_trusted(resolver: NameResolver, wiki: StandInCommons) -> None:
    found = one(resolver, "Lanius doubleuss")
    assert found.qid is None
    assert found.note == "Several items of Wikidata have this catalogue’s key."
    assert [c.qid for c in found.candidates] == ["Q24", "Q25"]


def test_homonyms_show_where_they_belong(resolver: NameResolver) -> None:
    told = {(c.source, c.above) for c in one(resolver, "Prunella").candidates}
    assert ("wikidata", "Plantae · Lamiaceae") in told
    assert ("gbif", "Animalia · Aves · Passeriformes · Laniidae") in told


def test_a_scope_decides_between_kingdoms_and_shuts_others_out(
    wiki: StandInCommons, others: StandInNames, tmp_path: Path
) -> None:
    with NameResolver(config(wiki, tmp_path), services(others), Scope("Q12")) as birds:
        assert one(birds, "Prunella").qid is None
        assert "outside what this campaign is about" in one(birds, "Prunella vulgaris").note
        assert one(birds, "Lanius").qid == "Q20"
        one(birds, "Lanius italicus")
    assert [query["kingdom"] for kind, query in others.asked if kind == "gbif"] == [["Animalia"]]
    with NameResolver(config(wiki, tmp_path), services(others), Scope("Q11")) as plants:
        assert one(plants, "Prunella").qid == "Q30"


def test_a_name_is_asked_once_in_a_run(resolver: NameResolver, others: StandInNames) -> None:
    resolver.resolve(["Lanius italicus", "Lanius italicus, Lath.", "Lanius Italicus"])
    resolver.resolve(["Lanius italicus Latham"])
    assert others.calls["gbif"] == 1


def test_a_catalogue_that_is_down_leaves_its_names_open_and_is_left_alone(
    resolver: NameResolver, others: StandInNames
) -> None:
    others.down("gbif")
    found = resolver.resolve(["Lanius italicus", "Lanius unheardofus", "Lanius minor Gmel.", "unbekannt"]).names
    waiting = found["Lanius italicus"]
    assert (waiting.qid, waiting.is_complete) == (None, False)
    assert waiting.note.startswith("GBIF did not answer; it is asked again in the next run. 127.0.0.1:")
    assert found["unbekannt"].is_complete
    assert others.calls == {"gbif": 2}
    resolver.resolve(["Lanius nobodius"])
    assert others.calls == {"gbif": 2}
    assert list(resolver.down) == ["gbif"]


def test_an_answer_that_cannot_be_read_holds_up_one_name_and_many_of_them_all(
    resolver: NameResolver, others: StandInNames
) -> None:
    others.says("gbif", "{}", times=1)
    found = resolver.resolve(["Lanius abc", "Lanius italicus"]).names
    assert not found["Lanius abc"].is_complete
    assert "another form" in found["Lanius abc"].note
    assert found["Lanius italicus"].qid == "Q21"
    assert resolver.down == {}
    others.says("gbif", "{}")
    resolver.resolve([f"Lanius {letter * 4}us" for letter in "abcdefgh"])
    assert others.calls["gbif"] == 2 + 4
    assert "another form" in resolver.down["gbif"]


def test_wikidata_failing_between_catalogues_is_told_as_such(
    resolver: NameResolver, wiki: StandInCommons, others: StandInNames
) -> None:
    wiki.faults.next("sparql", "503-html", times=9, where=lambda params: "P846" in params.get("query", ""))
    found = one(resolver, "Lanius italicus")
    assert found.note.startswith("Wikidata did not answer")
    assert not found.is_complete
    assert list(resolver.down) == ["wikidata"]


def test_wikidata_down_asks_nobody_else(resolver: NameResolver, wiki: StandInCommons, others: StandInNames) -> None:
    wiki.faults.next("sparql", "503-html", times=9)
    found = one(resolver, "Lanius italicus")
    assert (found.qid, found.is_complete) == (None, False)
    assert found.note.startswith("Wikidata did not answer")
    assert sum(others.calls.values()) == 0


def test_a_catalogue_that_is_not_set_is_not_asked(wiki: StandInCommons, others: StandInNames, tmp_path: Path) -> None:
    alone = services(others, gbif_url="", col_url="", worms_url="")
    with NameResolver(config(wiki, tmp_path), alone, Scope("Q12")) as resolver:
        assert one(resolver, "Lanius minor").qid == "Q21"
        assert one(resolver, "Lanius italicus").note == "No catalogue knows this name."
    with NameResolver(config(wiki, tmp_path), alone) as resolver:
        assert one(resolver, "Lanius").note == "Nobody could check whether another taxon bears this name too."
    assert sum(others.calls.values()) == 0


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (503, {}, TransientError),
        (429, {"Retry-After": "0"}, TransientError),
        (403, {}, BannedError),
        (400, {}, QueryRefusedError),
        (302, {"Location": "https://elsewhere.example.org/"}, HostNotAllowedError),
    ],
)
def test_each_trouble_has_its_error(
    others: StandInNames, tmp_path: Path, status: int, headers: dict[str, str], error: type[Exception]
) -> None:
    others.down("gbif", status, headers=headers)
    with NameClient(config(None, tmp_path), services(others)) as client, pytest.raises(error, match=r"127\.0\.0\.1"):
        client.gbif("Lanius minor")


def test_a_short_trouble_is_tried_again(others: StandInNames, tmp_path: Path) -> None:
    others.down("gbif", 429, 1, {"Retry-After": "0"})
    with NameClient(config(None, tmp_path), services(others)) as client:
        assert client.gbif("Lanius minor").kind is MatchKind.EXACT
    assert others.agents == {AGENT}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("gbif", "<html>busy</html>"),
        ("gbif", "{}"),
        ("gbif", '{"diagnostics": {"matchType": "EXACT"}, "usage": {"canonicalName": "x"}}'),
        ("col", '{"match": true}'),
        ("col", "[]"),
        ("worms", "[[]]"),
        ("worms", '{"error": "x"}'),
        ("worms", '[[{"match_type": "exact"}], []]'),
    ],
)
def test_an_answer_of_another_form_is_refused(others: StandInNames, tmp_path: Path, kind: str, body: str) -> None:
    others.says(kind, body)
    ask = {"gbif": lambda c: c.gbif("A b"), "col": lambda c: c.col("A b"), "worms": lambda c: c.worms(["A b", "C d"])}
    with NameClient(config(None, tmp_path), services(others)) as client, pytest.raises(BadAnswerError):
        ask[kind](client)


def test_a_kind_of_match_that_is_new_to_us_is_not_trusted(others: StandInNames, tmp_path: Path) -> None:
    others.says("gbif", '{"diagnostics": {"matchType": "SPLENDID", "confidence": 100}, "synonym": false}')
    with NameClient(config(None, tmp_path), services(others)) as client:
        assert client.gbif("Lanius minor").kind is MatchKind.AMBIGUOUS


def test_worms_is_asked_for_fifty_at_once(others: StandInNames, tmp_path: Path) -> None:
    with NameClient(config(None, tmp_path), services(others)) as client:
        found = client.worms([f"Turbo number{'a' * n}" for n in range(120)] + ["Littorina littorea"])
    assert others.calls["worms"] == 3
    assert found["Littorina littorea"].kind is MatchKind.EXACT
    assert found["Turbo numbera"].kind is MatchKind.NONE


@pytest.mark.parametrize("url", ["ftp://x.example", "api.gbif.org", "https://user@x.example", "https://x.example/?q=1"])
def test_only_web_addresses_are_services(url: str) -> None:
    with pytest.raises(ValueError, match="not the address"):
        NameServices(gbif_url=url)


def test_the_cards_of_1904_and_the_birds_of_havell_are_found_and_none_is_taken_for_another(tmp_path: Path) -> None:
    data = data_folder()
    written = {
        "hyloicus pinastri": "Sphinx pinastri",
        "pyrameis atalanta": "Vanessa atalanta",
        "rhodocera rhamni": "Gonepteryx rhamni",
        "Vireo Solitarius": "Vireo solitarius",
        "Wild Turkey": None,
        "MELEAGRIS GALLOPAVO LINN.": "Meleagris gallopavo",
    }
    world = plates_and_birds(data)
    with (
        StandInCommons(world) as wiki,
        StandInNames(gbif_usages(data)) as others,
        NameResolver(config(wiki, tmp_path), services(others)) as resolver,
    ):
        found = resolver.resolve(written).names
    assert {name: said.accepted_name or None for name, said in found.items()} == written
    assert found["MELEAGRIS GALLOPAVO LINN."].qid == "Q26844"


def test_names_of_gbifs_backbone_lead_to_their_own_items(tmp_path: Path) -> None:
    catalogue = gbif_usages(data_folder())
    world, items = of_catalogue(catalogue)
    sample = [entry for entry in catalogue.by_key.values() if entry.rank == "SPECIES"][::4]
    with (
        StandInCommons(world) as wiki,
        StandInNames(catalogue) as others,
        NameResolver(config(wiki, tmp_path), services(others)) as resolver,
    ):
        found = resolver.resolve({f"{entry.name} {entry.authorship}".strip() for entry in sample}).names
    right = wrong = 0
    for one_of in sample:
        qid = found[f"{one_of.name} {one_of.authorship}".strip()].qid
        right += qid is not None and qid == items.get(catalogue.accepted(one_of).key)
        wrong += qid is not None and qid != items.get(catalogue.accepted(one_of).key) and one_of.status != "DOUBTFUL"
    assert wrong == 0
    assert right > 0.6 * len(sample)
