"""Ready-made worlds of real plates.

`plates_world` is the wiki of the loop test: trees, cards and butterflies in a category tree with a cycle, with the
untidiness that Commons has. It reads the shared test data and fails where that is absent (`FileNotFoundError`).
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from tests.support.standin import taxa_data
from tests.support.standin.flora_and_fauna import fill_taxa, plate_names
from tests.support.standin.statements import Statement, depicts, in_collection, inventory_number
from tests.support.standin.world import World

ROOT = "Icones test plates"
TREES_AND_CARDS = "Familiar trees and cards"
BUTTERFLIES = "Butterfly figures"
EMPTY = "Icones empty category"
COLLECTION = "Q190804"
ROCK = "Q8063"
PEOPLE = {"Volunteer Anna": "101", "Volunteer Ben": "102", "Specialist Clara": "103", "Curator Dirk": "104"}
BLOCKED_PERSON = "Blocked Eve"
NUMBER_PLACES = ("statement and title", "P217 statement", "template", "title", "template and title", "nowhere")
DUPLICATE_NUMBER = "RP-T-BR-2017-1-1-4"
HTML_DESCRIPTION = (
    '<p>A <b>walnut</b> tree<script>document.title = "taken over"</script> <a href="javascript:alert(1)">more</a> '
    '<img src="x" onerror="alert(2)"> &amp; a <i lang="la">Juglans regia</i> leaf</p>'
)
SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" width="640" height="480" viewBox="0 0 640 480">
<rect x="0" y="0" width="640" height="480" fill="#f4ead0"/>
<ellipse cx="320" cy="240" rx="180" ry="90" fill="#5a7d3a"/>
<polygon points="140,240 60,180 60,300" fill="#5a7d3a"/>
<circle cx="430" cy="215" r="10" fill="#202020"/></svg>"""


def plates_world(data: Path, per_class: int = 24) -> World:
    """The wiki of the loop test from the folder `data`, with `per_class` (12 to 60) photographs of each butterfly.

    Files are read late; making the world takes well under a second.
    """
    if not 1 <= per_class <= 60:
        raise ValueError("per_class must lie between 1 and 60")
    world = World(sitename="Stand-in Commons")
    fill_taxa(world.taxa, data)
    world.taxa.add_label(ROCK, "en", "rock")
    for name, sub in PEOPLE.items():
        world.add_person(name, sub)
    world.add_person(BLOCKED_PERSON, "105", blocked=True)
    world.add_category(ROOT)
    world.add_category(TREES_AND_CARDS, [ROOT])
    world.add_category(BUTTERFLIES, [ROOT])
    world.add_category(ROOT, [BUTTERFLIES])
    world.add_category(EMPTY)
    numbers = itertools.count()
    _add_trees(world, data / "plates" / "familiar_trees", numbers)
    _add_cards(world, data / "plates" / "player_cards", numbers)
    _add_butterflies(world, data / "photos" / "butterflies", per_class, numbers)
    _add_odd_formats(world)
    return world


def _object_number(album: int, sheet: int) -> str:
    return f"RP-T-BR-2017-1-{album}-{sheet}"


def _add_plate(
    world: World,
    path: Path,
    name: str,
    number: str,
    position: int,
    categories: Sequence[str],
    statements: Sequence[Statement],
    description_html: str,
) -> int:
    """Upload one plate; where its object number is written goes round `NUMBER_PLACES` with the position."""
    place = NUMBER_PLACES[position % len(NUMBER_PLACES)]
    said = list(statements)
    if place.startswith("statement"):
        said.append(in_collection(COLLECTION, number))
    elif place == "P217 statement":
        said.append(inventory_number(number))
    title = f"{name}, {number}" if "title" in place else f"{name} ({path.stem})"
    accession = f"\n |accession number = {number}" if "template" in place else ""
    wikitext = (
        "== {{int:filedesc}} ==\n{{Artwork\n |artist = {{Creator:Unknown}}\n"
        f" |title = {name}\n |description = {description_html}{accession}\n |institution = Test\n}}}}\n\n"
        "== {{int:license-header}} ==\n{{Cc-zero}}\n\n" + "\n".join(f"[[Category:{c}]]" for c in categories)
    )
    return world.add_file(
        f"{title}.jpg",
        path,
        categories,
        description_html=description_html,
        artist_html='<a href="//commons.wikimedia.org/wiki/Creator:Unknown">Unknown artist</a>',
        credit_html='<span class="int-own-work" lang="en">Test collection</span>',
        date_html="1906",
        licence="CC0",
        licence_url="http://creativecommons.org/publicdomain/zero/1.0/deed.en",
        object_name=name,
        wikitext=wikitext,
        statements=said,
        uploader="Museum uploader",
    )


def _tree_statements(world: World, position: int, name: str) -> list[Statement]:
    """Two in five have a plain P180; some positions have one of the forms that clients trip over."""
    qid = world.taxon_qid(name)
    genus = world.taxon_qid(name.split()[0])
    odd = {
        2: [depicts(qid, "preferred"), depicts(world.taxon_qid("Quercus robur"))],
        3: [depicts(qid, box="pct:10,12.5,40,55")],
        4: [depicts(None)],
        7: [depicts(world.taxon_qid("Fagus sylvatica"), "deprecated")],
        8: [depicts(ROCK)],
        12: [depicts(genus)],
        13: [depicts(qid), depicts(qid)],
    }
    return odd.get(position, [depicts(qid)] if position % 5 in (0, 1) else [])


def _add_trees(world: World, folder: Path, numbers: itertools.count[int], count: int = 40) -> None:
    names = plate_names(taxa_data.TREES)
    for position, path in enumerate(sorted(folder.glob("*.jpg"))[:count]):
        label = path.stem.split("_", 1)[1]
        number = _object_number(1, position + 1)
        if position == 9:
            number = DUPLICATE_NUMBER
        english = label.replace("-", " ").capitalize()
        description = HTML_DESCRIPTION if label == "walnut" else f"<p>{english}, from <i>Familiar Trees</i></p>"
        statements = _tree_statements(world, position, names[label])
        shown = f"{english} ({names[label]})"
        _add_plate(world, path, shown, number, next(numbers), [TREES_AND_CARDS], statements, description)


def _add_cards(world: World, folder: Path, numbers: itertools.count[int], count: int = 20) -> None:
    names = plate_names(taxa_data.LEPIDOPTERA) | {"14_red-admiral-pyrameis-atalanta": "Vanessa atalanta"}
    for position, path in enumerate(sorted(folder.glob("*.jpg"))[:count]):
        name = names.get(path.stem) or names[path.stem[:2]]
        printed = path.stem.split("_", 1)[1].replace("-", " ").capitalize()
        moth = depicts(world.taxon_qid(name), box="pct:5,5,60,40")
        plant = depicts(world.taxon_qid("Salix alba"), box="pct:40,45,55,50")
        statements = [moth, plant] if position % 5 == 0 else [moth] if position % 5 == 3 else []
        description = f"<p>{printed}, with its caterpillar and food plant</p>"
        number = _object_number(2, position + 1)
        _add_plate(world, path, printed, number, next(numbers), [TREES_AND_CARDS], statements, description)


def _add_butterflies(world: World, folder: Path, per_class: int, numbers: itertools.count[int]) -> None:
    names = plate_names(taxa_data.LEPIDOPTERA)
    species = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("_"))
    for album, directory in enumerate(species, start=3):
        qid = world.taxon_qid(names.get(directory.name, directory.name))
        for position, path in enumerate(sorted(directory.glob("*.jpg"))[:per_class]):
            statements = [depicts(qid)] if position % 5 in (0, 3) else []
            description = f"<p>Figure {position + 1} of a butterfly</p>"
            number = _object_number(album, position + 1)
            _add_plate(world, path, "Butterfly figure", number, next(numbers), [BUTTERFLIES], statements, description)


def _add_odd_formats(world: World) -> None:
    """A drawing as SVG and a leaf as TIFF, both directly in the root category."""
    world.add_file("Drawn fish.svg", SVG, [ROOT], description_html="<p>A drawn fish</p>", licence="CC0")
    leaf = Image.new("RGB", (1200, 900), "#f4ead0")
    ImageDraw.Draw(leaf).ellipse((300, 200, 900, 700), fill="#5a7d3a")
    out = io.BytesIO()
    leaf.save(out, "TIFF", compression="tiff_lzw")
    world.add_file("Scanned leaf.tif", out.getvalue(), [ROOT], description_html="<p>A leaf</p>", licence="CC0")
