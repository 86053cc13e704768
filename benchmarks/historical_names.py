"""Claim: of names as old plates and lists write them, none is taken for another taxon by the rules of the chain.

Looks up real lists of names with the real chain against stand-ins for Wikidata, GBIF, the Catalogue of Life and WoRMS
on loopback, and counts how many come out right, wrong, and not at all. What is wrong is printed, name by name.

    python benchmarks/historical_names.py --data ../shared/data [--json] [--quick]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.opening import opened
from tests.support.standin import StandInCommons, World
from tests.support.standin.flora_and_fauna import plate_names
from tests.support.standin.taxa_data import LEPIDOPTERA
from tests.support.standin_names import Catalogue, Entry, StandInNames, gbif_usages
from tests.support.standin_names.worlds import (
    BIRD_PLATES,
    gould_birds,
    homonyms,
    of_catalogue,
    plates_and_birds,
    rows_of,
)
from wiki_sync import WikiConfig
from wiki_sync.names import NameResolver, NameServices, Resolution, clean

BATCH = 200
CARD = re.compile(r"\d+_.*-(?:moth|butterfly|burnet|admiral|shell)-(.+)")


@dataclass
class Score:
    """What became of one list. ``expected_wrong`` are known errors of the source that no rule can see."""

    title: str
    right: int = 0
    wrong: list[str] = field(default_factory=list)
    source_errs: list[str] = field(default_factory=list)
    open: int = 0
    seconds: float = 0.0

    @property
    def n(self) -> int:
        """How many names there were."""
        return self.right + len(self.wrong) + len(self.source_errs) + self.open

    def add(self, written: str, found: str | None, truth: str | None, *, source_errs: bool = False) -> None:
        """Count one name; ``truth`` None means that it must stay open."""
        if found is None:
            self.open += 1
        elif found == truth:
            self.right += 1
        else:
            (self.source_errs if source_errs else self.wrong).append(f"{written} -> {found}, not {truth}")


def looked_up(world: World, catalogue: Catalogue, names: list[str]) -> dict[str, Resolution]:
    """Return what the chain says of each name in a world."""
    found: dict[str, Resolution] = {}
    with StandInCommons(world) as wiki, StandInNames(catalogue) as others, tempfile.TemporaryDirectory() as folder:
        config = WikiConfig(
            api_url=wiki.api_url,
            sparql_urls=(wiki.sparql_url,),
            user_agent="IconesBenchmark/1 (icones@example.org)",
            state_dir=Path(folder),
        )
        services = NameServices(others.gbif_url, "stand-in", others.col_url, others.worms_url, pause_s=0)
        with NameResolver(config, services) as resolver:
            for start in range(0, len(names), BATCH):
                found |= resolver.resolve(names[start : start + BATCH]).names
            if resolver.down:
                raise SystemExit(f"a stand-in failed: {resolver.down}")
    return found


def name_of(world: World, qid: str | None) -> str | None:
    """Return the scientific name of an item, for the tables that tell names only."""
    return world.taxa.taxa[qid].scientific_name if qid else None


def ways_of_writing(name: str) -> list[str]:
    """Return a binomial as labels and old books have it; all of these mean the same."""
    genus, epithet = name.split()
    long_s = name.replace("s", "ſ")
    return [
        *(name, f"{name}, Linn.", f"{name} (Gmel.)", f"{genus} {epithet.capitalize()}", f"{name} Gm. ct. Lath. 1790"),
        *(
            name.upper(),
            f"<i>{name}</i> Wils.",
            f"[{name}]",
            long_s,
            name.replace("a", "а"),
            f"{name} Wilson, 1810: 12",
        ),
    ]


def havell(data: Path) -> list[Score]:
    """Audubon's plates 1 to 59: today's scientific names in old dress, and the English names as printed."""
    rows = rows_of(data / BIRD_PLATES / "havell_species_plates1-59.psv", "|")
    truth = {row["scientific"]: row["wikidata"] for row in rows if row["wikidata"]}
    world, catalogue = plates_and_birds(data), gbif_usages(data)
    dressed = {way: qid for name, qid in truth.items() for way in ways_of_writing(name)}
    doubted = [f"{name.split()[0]} {mark} {name.split()[1]}" for name in truth for mark in ("?", "cf.", "aff.")]
    doubted += [f"{name.split()[0]} sp." for name in truth]
    old, printed, never = (
        Score("Havell, names in old dress"),
        Score("Havell, printed English"),
        Score("Havell, doubted"),
    )
    found = looked_up(world, catalogue, [*dressed, *doubted, *(row["printed_name"] for row in rows)])
    for way, qid in dressed.items():
        old.add(way, found[way].qid, qid)
    for row in rows:
        printed.add(row["printed_name"], found[row["printed_name"]].qid, row["wikidata"] or None)
    for way in doubted:
        never.add(way, found[way].qid, None)
    return [old, printed, never]


def cards(data: Path) -> list[Score]:
    """The 51 player cards of 1904, as their file names have the scientific name."""
    truth = plate_names(LEPIDOPTERA) | {"14_red-admiral-pyrameis-atalanta": "Vanessa atalanta"}
    world = plates_and_birds(data)
    written = {}
    for path in sorted((data / "plates" / "player_cards").glob("*.jpg")):
        match = CARD.fullmatch(path.stem)
        if match:
            written[match[1].replace("-", " ")] = truth.get(path.stem) or truth[path.stem[:2]]
    found = looked_up(world, gbif_usages(data), list(written))
    score = Score("Player cards of 1904")
    for name, accepted in written.items():
        got = name_of(world, found[name].qid)
        # The printer used a name that belongs to another moth: right as a name, wrong for the picture.
        score.add(name, got, accepted, source_errs=got == clean(name).name)
    return [score]


def gould(data: Path) -> list[Score]:
    """The review tables of Gould's names; the truth is what reviewers say the plate shows."""
    world = gould_birds(data)
    british = rows_of(data / BIRD_PLATES / "gould-britain_ku-disagreements_subset.csv", ",")
    australian = rows_of(data / BIRD_PLATES / "gould-australia_sources_review.csv", ",")
    cases = [("Gould, Britain", row["ku_scientific"], row["scientific"]) for row in british]
    cases += [("Gould, Australia", row["gould_latin"], row["birdnet_sci"]) for row in australian]
    found = looked_up(world, Catalogue(), [name for _, name, _ in cases])
    scores = {title: Score(title) for title, _, _ in cases}
    for title, name, truth in cases:
        got = name_of(world, found[name].qid)
        if got and got.startswith(f"{truth} "):
            got = truth  # a race of the species
        # Of a name that a modern list has for this very bird no rule can know that the plate shows another.
        scores[title].add(name, got, truth, source_errs=got == clean(name).name)
    return list(scores.values())


def backbone(data: Path, quick: bool) -> list[Score]:
    """GBIF's usages, as written there, with a slip, and as homonyms of which Wikidata has only one."""
    catalogue = gbif_usages(data)
    world, items = of_catalogue(catalogue)
    several = homonyms(catalogue)
    entries = [one for one in catalogue.by_key.values() if clean(one.name).n_words == len(one.name.split())]
    entries = entries[:: 10 if quick else 1]
    as_written: dict[str, list[Entry]] = defaultdict(list)
    for one in entries:
        as_written[f"{one.name} {one.authorship}".strip()].append(one)
    slips = {_with_slip(one.name): one for one in entries if len(one.name.split()) == 2 and one.name not in several}
    whole, slipped, double = Score("GBIF, as written"), Score("GBIF, one letter wrong"), Score("GBIF, homonyms")
    found = looked_up(world, catalogue, [*as_written, *slips])
    for written, rows in as_written.items():
        got = found[written].qid
        meant = {items.get(key) for one in rows for key in _meant(catalogue, one, several)}
        whole.add(written, got, got if got in meant else next(iter(meant)))
    for written, one in slips.items():
        slipped.add(written, found[written].qid, items.get(catalogue.accepted(one).key))
    hidden = {entry.key for group in several.values() for entry in group[1:]}
    half, left = of_catalogue(catalogue, without=hidden)
    for written, one_found in looked_up(half, catalogue, list(several)).items():
        in_use = [one for one in several[written] if one.status == "ACCEPTED"]
        # Without its author a name means the taxon that bears it now, if that is one; else nobody can tell.
        double.add(written, one_found.qid, left.get(in_use[0].key) if len(in_use) == 1 else None)
    return [whole, slipped, double]


def _meant(catalogue: Catalogue, one: Entry, several: Mapping[str, list[Entry]]) -> set[str]:
    """Return the keys that a usage may mean: GBIF has some names twice, as doubtful or as a synonym too."""
    same = {other.key for other in several.get(one.name, ()) if other.status == "ACCEPTED"}
    return same if one.status == "DOUBTFUL" and len(same) == 1 else {catalogue.accepted(one).key}


def _with_slip(name: str) -> str:
    """Return a name with one letter in the middle of its last word doubled or taken out."""
    genus, epithet = name.split()
    middle = len(epithet) // 2
    return (
        f"{genus} {epithet[:middle]}{epithet[middle + (len(epithet) % 2) :]}"
        if len(epithet) % 2
        else (f"{genus} {epithet[:middle]}{epithet[middle - 1]}{epithet[middle:]}")
    )


def dirty(data: Path, quick: bool) -> list[Score]:
    """Lists of names that must not match, and of higher names in old and broken spellings."""
    catalogue = gbif_usages(data)
    world, _ = of_catalogue(catalogue)
    folder = data / "names" / "gbif-matching"
    none, higher = Score("Not names at all"), Score("Higher names, broken")
    nothing = [line for line in (folder / "blacklisted.txt").read_text("utf-8").splitlines() if line.strip()]
    cases = rows_of(data / "names" / "gnparser_cases.tsv", "\t")
    nothing += [row["name_input"] for row in cases if row["parsed"] == "False"]
    meant: dict[str, str] = {}
    for rank in ("kingdom", "phylum", "class", "order", "family"):
        for line in (folder / f"{rank}.txt").read_text("utf-8").splitlines()[:: 10 if quick else 1]:
            written, _, name = line.partition("\t")
            meant[written.strip()] = name.split()[0] if name.split() else ""
    found = looked_up(world, catalogue, [*nothing, *meant])
    for written in nothing:
        none.add(written, found[written].qid, None)
    for written, name in meant.items():
        got = name_of(world, found[written].qid)
        # The table follows one taxonomy: where ours has the very name that is written, that is what is meant.
        higher.add(written, got, got if got == clean(written).name else name)
    return [none, higher]


def cleaning(data: Path) -> Mapping[str, int]:
    """How names as people write them are read, beside a specialised parser's reading."""
    counts = {"same": 0, "doubted": 0, "other": 0, "refused by both": 0, "read where the parser refuses": 0}
    for row in rows_of(data / "names" / "gnparser_cases.tsv", "\t"):
        name = clean(row["name_input"])
        if row["parsed"] == "False":
            counts["read where the parser refuses" if name.is_clear else "refused by both"] += 1
        else:
            counts["doubted" if not name.is_clear else "same" if name.name == row["canonical"] else "other"] += 1
    return counts


def main() -> int:
    """Print the table, as text or JSON. Exit code 1 if a rule took a name for another taxon."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="take every tenth name of the long lists")
    arguments, data = opened(parser)
    scores: list[Score] = []
    measures: tuple[Callable[[], list[Score]], ...] = (
        lambda: havell(data),
        lambda: cards(data),
        lambda: gould(data),
        lambda: backbone(data, arguments.quick),
        lambda: dirty(data, arguments.quick),
    )
    for measure in measures:
        before = time.perf_counter()
        found = measure()
        found[0].seconds = time.perf_counter() - before
        scores += found
    read = cleaning(data)
    if arguments.json:
        print(json.dumps({"scores": [{"n": one.n, **vars(one)} for one in scores], "cleaning": read}, indent=1))
    else:
        print(f"{'':<28}{'names':>7}{'right':>7}{'wrong':>7}{'source':>8}{'open':>7}")
        for one in scores:
            print(f"{one.title:<28}{one.n:>7}{one.right:>7}{len(one.wrong):>7}{len(one.source_errs):>8}{one.open:>7}")
        print("cleaning:", ", ".join(f"{n} {what}" for what, n in read.items()))
    for one in scores:
        for line in [*one.wrong, *(f"(the source errs) {line}" for line in one.source_errs)]:
            print(f"{one.title}: {line}", file=sys.stderr)
    held = not any(one.wrong for one in scores)
    print("the claim holds" if held else "THE CLAIM DOES NOT HOLD", file=sys.stderr)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
