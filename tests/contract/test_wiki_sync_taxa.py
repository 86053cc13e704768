"""Taxa, lineages and names, asked by the real SPARQLWrapper of a real SPARQL engine over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.standin import StandInCommons, World
from wiki_sync import NameMatch, TaxonSource, WikiConfig


def config(standin: StandInCommons, folder: Path, **changes: object) -> WikiConfig:
    settings: dict[str, object] = {
        "api_url": standin.api_url,
        "sparql_urls": (standin.sparql_url,),
        "user_agent": "IconesTest/0.1 (https://example.org/icones; icones@example.org)",
        "state_dir": folder,
        "retry_wait_s": 0.01,
        "max_retries": 1,
    }
    return WikiConfig(**(settings | changes))  # type: ignore[arg-type]


@pytest.fixture
def world() -> World:
    world = World()
    taxa = world.taxa
    taxa.add("Animalia", "kingdom", qid="Q10")
    taxa.add("Insecta", "class", ["Q10"], qid="Q11", names={"nl": ["insecten"], "en": ["insects"]})
    taxa.add("Nymphalidae", "family", ["Q11"], qid="Q12")
    taxa.add("Vanessa", "genus", ["Q12"], qid="Q13", author="Fabricius", year=1807)
    taxa.add("Pyrameis atalanta", "species", ["Q13"], qid="Q15")
    taxa.add("Papilio atalanta", "species", ["Q13"], qid="Q16")
    taxa.add(
        "Vanessa atalanta",
        "species",
        ["Q13"],
        qid="Q14",
        names={"nl": ["atalanta", "admiraalvlinder"], "en": ["red admiral"], "de": ["Admiral"], "it": ["vulcano"]},
        ids={"gbif": "1898286", "nsr": "123", "inaturalist": "49133", "ncbi": "42275", "worms": "1", "col": "7FHZP"},
        author="Linnaeus",
        year=1758,
        synonyms=["Q15"],
        basionym="Q16",
        image="Vanessa atalanta (male).jpg",
    )
    return world


@pytest.fixture
def standin(world: World) -> Iterator[StandInCommons]:
    with StandInCommons(world) as running:
        yield running


@pytest.fixture
def source(standin: StandInCommons, tmp_path: Path) -> TaxonSource:
    return TaxonSource(config(standin, tmp_path))


def test_all_facts_of_a_taxon_come_in(source: TaxonSource) -> None:
    taxon = source.taxa(["Q14"])["Q14"]
    assert (taxon.qid, taxon.scientific_name) == ("Q14", "Vanessa atalanta")
    assert (taxon.rank, taxon.rank_qid, taxon.parent_qid) == ("species", "Q7432", "Q13")
    assert taxon.authorship == "Linnaeus, 1758"
    assert taxon.ids == {
        "gbif": "1898286",
        "ncbi": "42275",
        "nsr": "123",
        "worms": "1",
        "col": "7FHZP",
        "inaturalist": "49133",
    }
    assert taxon.image_title == "File:Vanessa atalanta (male).jpg"
    assert [(name.language, name.name, name.preferred) for name in taxon.names] == [
        ("nl", "atalanta", True),
        ("nl", "admiraalvlinder", False),
        ("en", "red admiral", True),
        ("de", "Admiral", True),
    ]


def test_items_that_are_no_taxa_are_absent(world: World, source: TaxonSource) -> None:
    world.taxa.load_turtle(
        "@prefix wd: <http://www.wikidata.org/entity/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> ."
        'wd:Q8063 rdfs:label "rock"@en .'
    )
    assert set(source.taxa(["Q14", "Q8063", "Q999999"])) == {"Q14"}
    assert source.taxa(["Q8063"]) == {}
    assert source.taxa([]) == {}
    assert source.lineages(["Q8063"]) == {}


def test_a_lineage_goes_up_to_the_root(source: TaxonSource) -> None:
    taxa = source.lineages(["Q14"])
    assert set(taxa) == {"Q14", "Q13", "Q12", "Q11", "Q10"}
    way, at = [], taxa["Q14"]
    while at.parent_qid:
        at = taxa[at.parent_qid]
        way.append(at.scientific_name)
    assert way == ["Vanessa", "Nymphalidae", "Insecta", "Animalia"]
    assert taxa["Q10"].parent_qid is None


def test_lineages_of_many_share_their_upper_parts_and_their_requests(
    standin: StandInCommons, source: TaxonSource
) -> None:
    assert len(source.lineages(["Q14", "Q15", "Q16", "Q13"])) == 7
    assert standin.calls.count("sparql") == 4


def test_a_cycle_of_parents_is_broken_the_same_way_each_time(world: World, source: TaxonSource) -> None:
    world.taxa.add_parent("Q10", "Q13")
    world.taxa.add_parent("Q13", "Q13")
    first = source.lineages(["Q14"])
    assert first == source.lineages(["Q14"])
    at, steps = first["Q14"], 0
    while at.parent_qid:
        at, steps = first[at.parent_qid], steps + 1
        assert steps < 10


def test_of_two_parents_one_is_chosen_and_both_are_known(world: World, source: TaxonSource) -> None:
    world.taxa.add("Lepidoptera", "order", ["Q11"], qid="Q9")
    world.taxa.add_parent("Q12", "Q9")
    taxa = source.lineages(["Q14"])
    assert taxa["Q12"].parent_qids == ("Q9", "Q11")
    assert taxa["Q12"].parent_qid == "Q9"
    assert taxa["Q9"].parent_qid == "Q11"


def test_more_items_than_a_batch_are_asked_for_in_batches(
    world: World, standin: StandInCommons, source: TaxonSource
) -> None:
    wanted = [world.taxa.add(f"Aus bus{n}", "species", ["Q13"]) for n in range(450)]
    assert set(source.taxa(wanted)) == set(wanted)
    assert standin.calls.count("sparql") == 9
    assert {call.method for call in standin.calls.requests} == {"POST"}


def test_names_lead_to_taxa_and_say_how(source: TaxonSource) -> None:
    found = source.by_name(["Vanessa atalanta", "Pyrameis atalanta", "Papilio  atalanta ", "Homo sapiens", "", 'a"b\\'])
    assert found == {
        "Vanessa atalanta": (NameMatch("Vanessa atalanta", "Q14", "name"),),
        "Pyrameis atalanta": (
            NameMatch("Pyrameis atalanta", "Q15", "name"),
            NameMatch("Pyrameis atalanta", "Q14", "synonym"),
        ),
        "Papilio  atalanta ": (
            NameMatch("Papilio  atalanta ", "Q16", "name"),
            NameMatch("Papilio  atalanta ", "Q14", "basionym"),
        ),
        "Homo sapiens": (),
        "": (),
        'a"b\\': (),
    }


def test_homonyms_are_all_found(world: World, source: TaxonSource) -> None:
    world.taxa.add("Vanessa", "genus", ["Q10"], qid="Q77")
    assert [match.qid for match in source.by_name(["Vanessa"])["Vanessa"]] == ["Q13", "Q77"]


def test_descendants_are_found_and_limited(source: TaxonSource) -> None:
    assert set(source.descendants("Q12")) == {"Q13", "Q14", "Q15", "Q16"}
    assert len(source.descendants("Q12", limit=2)) == 2
    assert source.descendants("Q14") == ()
    with pytest.raises(ValueError, match="limit"):
        source.descendants("Q12", limit=0)


def test_what_is_no_item_id_never_reaches_the_service(standin: StandInCommons, source: TaxonSource) -> None:
    for ask in (source.taxa, source.lineages):
        with pytest.raises(ValueError, match="item id"):
            ask(["Q14", "Q1> } #"])
    assert standin.calls.count() == 0


def test_languages_are_a_setting(standin: StandInCommons, tmp_path: Path, world: World) -> None:
    world.taxa.add_label("Q14", "it", "atalanta comune")
    taxon = TaxonSource(config(standin, tmp_path, languages=("it",))).taxa(["Q14"])["Q14"]
    assert {(name.language, name.name) for name in taxon.names} >= {("it", "atalanta comune")}
    assert {name.language for name in taxon.names} == {"it"}


def test_the_service_is_asked_politely(
    standin: StandInCommons, source: TaxonSource, recwarn: pytest.WarningsRecorder
) -> None:
    source.lineages(["Q14"])
    source.by_name(["describe construct"])
    for call in standin.calls.requests:
        assert call.headers["user-agent"].startswith("IconesTest/0.1")
        assert "application/sparql-results+json" in call.headers["accept"]
        assert set(call.params) == {"query"}
    assert not [warning for warning in recwarn if "SPARQL" in str(warning.message)]


def test_without_a_service_nothing_can_be_asked(standin: StandInCommons, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        TaxonSource(config(standin, tmp_path, sparql_urls=())).taxa(["Q14"])
