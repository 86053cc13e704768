"""Taxa, lineages and names, asked by the real SPARQLWrapper of a real SPARQL engine over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.standin import StandInCommons, World
from wiki_sync import NameMatch, NoServiceError, TaxonSource, WikiConfig


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
    assert taxon.synonyms == ("Papilio atalanta", "Pyrameis atalanta")
    assert taxon.merged_into is None
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
    assert standin.calls.count("sparql") == 5


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
    assert standin.calls.count("sparql") == 12
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


def test_names_of_synonyms_are_known_on_both_sides(source: TaxonSource) -> None:
    taxa = source.taxa(["Q15", "Q16", "Q13"])
    assert (taxa["Q15"].synonyms, taxa["Q16"].synonyms) == (("Vanessa atalanta",), ("Vanessa atalanta",))
    assert taxa["Q13"].synonyms == ()


def test_of_parents_the_best_ranked_is_followed_and_deprecated_ones_are_not_known(
    world: World, source: TaxonSource
) -> None:
    world.taxa.add("Lepidoptera", "order", ["Q11"], qid="Q9")
    world.taxa.add("Papilionoidea", "superfamily", ["Q9"], qid="Q99")
    world.taxa.add_parent("Q12", "Q99", "Preferred")
    world.taxa.add_parent("Q12", "Q9", "Deprecated")
    taxon = source.lineages(["Q14"])["Q12"]
    assert (taxon.parent_qid, taxon.parent_qids) == ("Q99", ("Q99", "Q11"))


def test_a_merged_item_stands_below_its_target(world: World, source: TaxonSource) -> None:
    world.taxa.merge("Q15", "Q14")
    taxa = source.lineages(["Q15"])
    assert set(taxa) == {"Q15", "Q14", "Q13", "Q12", "Q11", "Q10"}
    old = taxa["Q15"]
    assert (old.merged_into, old.parent_qid, old.scientific_name) == ("Q14", "Q14", "Vanessa atalanta")
    assert source.taxa(["Q15"]) == {}


def test_a_chain_of_redirects_is_followed_to_its_end(world: World, source: TaxonSource) -> None:
    world.taxa.merge("Q16", "Q15")
    world.taxa.merge("Q15", "Q14")
    taxa = source.lineages(["Q16"])
    assert taxa["Q16"].merged_into == "Q14"
    assert "Q15" not in taxa


def test_a_ring_of_redirects_leads_nowhere(world: World, source: TaxonSource) -> None:
    world.taxa.merge("Q16", "Q15")
    world.taxa.merge("Q15", "Q16")
    assert source.lineages(["Q16"]) == {}


def test_a_parent_that_was_merged_leads_on(world: World, source: TaxonSource) -> None:
    world.taxa.add("Vanessinae", "genus", ["Q12"], qid="Q17")
    world.taxa.merge("Q13", "Q17")
    taxa = source.lineages(["Q14"])
    line, at = ["Q14"], taxa["Q14"]
    while at.parent_qid:
        line.append(at.parent_qid)
        at = taxa[at.parent_qid]
    assert line == ["Q14", "Q13", "Q17", "Q12", "Q11", "Q10"]


def test_a_target_below_its_own_redirect_ends(world: World, source: TaxonSource) -> None:
    world.taxa.merge("Q13", "Q14")
    taxa = source.lineages(["Q14", "Q13"])
    assert (taxa["Q13"].parent_qid, taxa["Q14"].parent_qid) == ("Q14", None)


def test_an_item_without_a_taxon_name_and_a_deleted_one_are_absent(world: World, source: TaxonSource) -> None:
    world.taxa.lose_name("Q15")
    world.taxa.delete("Q16")
    assert set(source.lineages(["Q14", "Q15", "Q16"])) == {"Q14", "Q13", "Q12", "Q11", "Q10"}


def test_what_lies_below_a_taxon_is_found_parents_first(
    world: World, standin: StandInCommons, source: TaxonSource
) -> None:
    world.taxa.add("Vanessa atalanta rubria", "subspecies", ["Q14"], qid="Q18")
    seen: list[int] = []
    members = source.members("Q12", on_progress=seen.append)
    assert members.qids == ("Q13", "Q14", "Q15", "Q16")
    assert (members.n_found, members.is_complete) == (4, True)
    assert (standin.calls.count("sparql"), seen) == (2, [1, 4])
    assert source.members("Q15").qids == ()
    with pytest.raises(ValueError, match="limit"):
        source.members("Q12", limit=0)


def test_the_most_linked_members_come_first_with_what_stands_above_them(world: World, source: TaxonSource) -> None:
    world.taxa.add("Aglais", "genus", ["Q12"], qid="Q20")
    world.taxa.add("Aglais io", "species", ["Q20"], qid="Q21")
    world.taxa.link("Q21", 60)
    world.taxa.link("Q14", 50)
    members = source.members("Q12", limit=3)
    assert members.qids == ("Q13", "Q20", "Q21")
    assert (members.n_found, members.is_complete) == (6, False)


def test_a_ring_below_a_root_ends(world: World, source: TaxonSource) -> None:
    world.taxa.add_parent("Q12", "Q13")
    assert set(source.members("Q12").qids) == {"Q13", "Q14", "Q15", "Q16"}


def test_looking_stops_when_far_too_many_were_seen(world: World, standin: StandInCommons, source: TaxonSource) -> None:
    for n in range(6):
        genus = world.taxa.add(f"Aus{n}", "genus", ["Q12"])
        world.taxa.add(f"Aus{n} bus", "species", [genus])
    members = source.members("Q12", limit=1)
    assert (len(members.qids), members.is_complete) == (1, False)
    assert standin.calls.count("sparql") == 1


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
    with pytest.raises(NoServiceError, match="No query service"):
        TaxonSource(config(standin, tmp_path, sparql_urls=())).taxa(["Q14"])
