"""The facts of the demo taxa."""

from __future__ import annotations

import re

import pytest

from icones.demo import drawn_taxa, lineage, load_taxa
from icones.demo.taxa import LANGUAGES


@pytest.mark.parametrize("qid", drawn_taxa())
def test_every_drawn_taxon_descends_from_a_kingdom(qid: str) -> None:
    line = lineage(qid)
    assert line[0].qid == qid
    assert line[-1].rank == "kingdom"
    assert line[-1].scientific_name in {"Plantae", "Animalia"}
    assert len(line) >= 3


def test_every_taxon_in_the_file_is_drawn_or_an_ancestor_of_one_that_is() -> None:
    needed = {taxon.qid for qid in drawn_taxa() for taxon in lineage(qid)}
    assert needed == set(load_taxa())


def test_ancestors_stand_before_their_descendants() -> None:
    seen: set[str] = set()
    for taxon in load_taxa().values():
        assert taxon.parent is None or taxon.parent in seen
        seen.add(taxon.qid)


def test_every_taxon_has_a_well_formed_id_and_a_name_in_each_language() -> None:
    for taxon in load_taxa().values():
        assert re.fullmatch(r"Q[1-9]\d*", taxon.qid)
        assert set(taxon.names) == set(LANGUAGES)
        assert all(name.strip() == name and name for name in taxon.names.values())
        assert all(re.fullmatch(r"[1-9]\d*", key) for key in taxon.ids.values())


def test_no_two_taxa_share_a_name_or_a_gbif_key() -> None:
    taxa = load_taxa().values()
    assert len({taxon.scientific_name for taxon in taxa}) == len(taxa)
    keys = [taxon.ids["gbif"] for taxon in taxa if "gbif" in taxon.ids]
    assert len(set(keys)) == len(keys)


def test_a_species_is_named_after_the_genus_it_descends_from() -> None:
    for qid in drawn_taxa():
        line = lineage(qid)
        for genus in (taxon for taxon in line if taxon.rank == "genus"):
            assert line[0].scientific_name.startswith(f"{genus.scientific_name} ")


def test_the_look_alikes_share_a_genus() -> None:
    for one, other in (("Q165145", "Q158608"), ("Q26745", "Q156944")):
        assert lineage(one)[1] == lineage(other)[1]


def test_an_unknown_id_has_no_lineage() -> None:
    with pytest.raises(KeyError):
        lineage("Q1")
