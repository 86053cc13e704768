"""A whole sync of real plates from the stand-in Commons, as the application does it: list, read, name, fetch."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import data_folder
from tests.support.standin import StandInCommons, plates_world
from wiki_sync import (
    Commons,
    EmptyCategoryError,
    ImageDownloads,
    NotAnImageError,
    TaxonSource,
    WikiConfig,
    most_trusted,
    picture_facts,
)

ROOT = "Icones test plates"


@pytest.fixture(scope="module")
def standin() -> Iterator[StandInCommons]:
    with StandInCommons(plates_world(data_folder(), per_class=12)) as running:
        yield running


@pytest.fixture
def config(standin: StandInCommons, tmp_path: Path) -> WikiConfig:
    standin.calls.clear()
    return WikiConfig(
        api_url=standin.api_url,
        sparql_urls=(standin.sparql_url,),
        user_agent="IconesTest/0.1 (https://example.org/icones; icones@example.org)",
        state_dir=tmp_path,
        image_hosts=(standin.host,),
    )


def test_the_whole_tree_comes_in_at_the_promised_cost(standin: StandInCommons, config: WikiConfig) -> None:
    commons = Commons(config)
    listing = commons.category(ROOT, depth=3)
    entities = commons.mediainfo([file.page_id for file in listing.files])
    calls = standin.calls.count("api")
    assert set(listing.categories) == {
        "Category:Icones test plates",
        "Category:Familiar trees and cards",
        "Category:Butterfly figures",
    }
    assert len(listing.files) > 150
    assert len({file.page_id for file in listing.files}) == len(listing.files) == len(entities)
    assert calls <= 2 * math.ceil(len(listing.files) / 50) + 10


def test_every_depicted_taxon_has_a_lineage_and_a_name(config: WikiConfig) -> None:
    commons = Commons(config)
    listing = commons.category(ROOT, depth=3)
    entities = commons.mediainfo([file.page_id for file in listing.files])
    said = [one for entity in entities.values() for one in entity.depicts]
    assert {one.snaktype for one in said} == {"value", "somevalue"}
    assert {one.rank for one in said} == {"preferred", "normal", "deprecated"}
    assert any(one.box for one in said)
    wanted = {one.qid for one in said if one.qid}
    taxa = TaxonSource(config).lineages(wanted)
    no_taxa = wanted - set(taxa)
    assert no_taxa == {"Q8063"}  # a rock
    for qid in wanted - no_taxa:
        at, seen = taxa[qid], {qid}
        while at.parent_qid:
            at = taxa[at.parent_qid]
            assert at.qid not in seen
            seen.add(at.qid)
        assert at.rank == "kingdom"
        assert taxa[qid].rank


def test_object_numbers_come_with_their_source(config: WikiConfig) -> None:
    commons = Commons(config)
    listing = commons.category(ROOT, depth=3)
    entities = commons.mediainfo([file.page_id for file in listing.files])
    numbers = [most_trusted(config, entities[file.page_id].object_number, file.object_number) for file in listing.files]
    sources = Counter(number.source if number else "none" for number in numbers)
    assert set(sources) == {"P195/P217", "P217", "template", "title", "none"}
    repeated = [value for value, times in Counter(n.value for n in numbers if n).items() if times > 1]
    assert len(repeated) == 1


def test_nothing_of_others_html_is_left_to_do_harm(config: WikiConfig) -> None:
    for file in Commons(config).category(ROOT, depth=3).files:
        for text in (file.description_html, file.description, file.artist, file.credit):
            for word in ("<script", "javascript:", "onerror", "<img"):
                assert word not in text
        assert file.description
        assert file.licence_url is None or file.licence_url.startswith("http")


def test_drawings_and_scans_are_sorted_by_whether_they_can_be_shown(config: WikiConfig) -> None:
    files = {file.title: file for file in Commons(config).category(ROOT).files}
    assert set(files) == {"File:Drawn fish.svg", "File:Scanned leaf.tif"}
    scan = files["File:Scanned leaf.tif"]
    assert scan.problem is None
    assert scan.thumb_url is not None
    with ImageDownloads(config) as downloads:
        assert picture_facts(downloads.fetch(scan.thumb_url), "scan").mime == "image/jpeg"
        drawing = files["File:Drawn fish.svg"]
        with pytest.raises(NotAnImageError, match="SVG"):
            downloads.fetch(drawing.url, drawing.sha1)  # these are the file's own bytes: it will never be a picture


def test_pictures_are_the_wikis_own_byte_for_byte(config: WikiConfig) -> None:
    files = Commons(config).category("Butterfly figures", limit=3).files
    with ImageDownloads(config) as downloads:
        for file in files:
            data = downloads.fetch(file.url)
            assert hashlib.sha1(data).hexdigest() == file.sha1
            assert file.thumb_url is not None
            thumb = picture_facts(downloads.fetch(file.thumb_url), "thumb")
            assert (thumb.width, thumb.height) == (file.thumb_width, file.thumb_height)


def test_an_old_name_leads_to_the_taxon_of_today(standin: StandInCommons, config: WikiConfig) -> None:
    today = standin.world.taxa.qid("Vanessa atalanta")
    matches = TaxonSource(config).by_name(["Pyrameis atalanta"])["Pyrameis atalanta"]
    assert ("synonym", today) in {(match.how, match.qid) for match in matches}


def test_the_empty_category_is_said_to_be_empty(config: WikiConfig) -> None:
    with pytest.raises(EmptyCategoryError):
        Commons(config).category("Icones empty category")
