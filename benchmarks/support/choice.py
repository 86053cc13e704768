"""What choosing a network is worth, and what a network's own classes are worth before there is any label.

A network is chosen on one half of the pictures, by `compare_backbones`, and measured on the other half, which the
choice never saw. Every network is measured on that same half with the same draws.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from active_learning import Taxonomy, borrowed_head, compare_backbones, fit_head, scientific_name
from active_learning.backbones import own_classifier
from active_learning.comparable import sample
from active_learning.metrics import balanced_accuracy
from benchmarks.support.embedded import BACKBONES, butterflies, embedded, tree, tree_plates
from benchmarks.support.report import markdown

Floats = NDArray[np.float32]
Row = dict[str, Any]

CHOSEN = "chosen"
AT_HAND = (*BACKBONES, "squeezenet1_1", "classical")
START = "mobilenet_v2"  # the network that a campaign would have without a choice
SEEDS, ROUNDS, SEEN = 5, 8, 120
INSECTS = "mobilenet_v2/inat_insect"
NOW_CALLED = {"Heliconius charitonius": "Heliconius charithonia"}  # by the network's labels
BIRD_FAMILIES = {
    "Accipitridae": "black-winged-hawk broad-winged-hawk common-buzzard golden-eagle goshawk-and-stanley-hawk "
    "marsh-hawk mississippi-kite red-shouldered-hawk red-tailed-hawk sharp-shinned-hawk stanley-hawk "
    "white-headed-eagle",
    "Columbidae": "band-tailed-pigeon carolina-pigeon ground-dove passenger-pigeon white-crowned-pigeon zenaida-dove",
    "Corvidae": "american-crow american-magpie blue-jay canada-jay columbia-jay fish-crow florida-jay raven "
    "yellow-billed-magpie",
    "Hirundinidae": "bank-swallow barn-swallow purple-martin republican-or-cliff-swallow white-bellied-swallow",
    "Laridae": "arctic-tern black-backed-gull black-tern bonapartian-gull great-tern herring-gull lesser-tern "
    "marsh-tern roseate-tern",
    "Parulidae": "autumnal-warbler bay-breasted-warbler black-yellow-warbler black-throated-green-warbler "
    "blackburnian-warbler azure-warbler childrens-warbler chestnut-sided-warbler hooded-warbler kentucky-warbler "
    "pine-creeping-warbler prothonotary-warbler",
    "Passerellidae": "chipping-sparrow field-sparrow song-sparrow swamp-sparrow tree-sparrow white-crowned-sparrow "
    "white-throated-sparrow yellow-winged-sparrow",
    "Picidae": "downy-woodpecker golden-winged-woodpecker hairy-woodpecker ivory-billed-woodpecker marias-woodpecker "
    "pileated-woodpecker red-cockaded-woodpecker red-headed-woodpecker three-toed-woodpecker "
    "yellow-bellied-woodpecker",
    "Strigidae": "barred-owl great-cinereous-owl great-horned-owl hawk-owl little-screech-owl long-eared-owl "
    "snowy-owl tengmalms-owl",
    "Troglodytidae": "bewicks-wren great-carolina-wren house-wren marsh-wren nuttalls-lesser-marsh-wren winter-wren "
    "wood-wren",
    "Turdidae": "american-robin hermit-thrush little-tawny-thrush tawny-thrush wood-thrush",
    "Tyrannidae": "arkansaw-flycatcher fork-tailed-flycatcher great-crested-flycatcher little-tyrant-flycatcher "
    "olive-sided-flycatcher pewit-flycatcher small-green-crested-flycatcher traills-flycatcher wood-pewee",
}  # fmt: skip


@dataclass(frozen=True)
class Choices:
    """The rows of all tables of the choice, and of a network's own classes."""

    photographs: list[Row]
    birds: list[Row]
    trees: list[Row]
    without_labels: list[Row]


def choices(data: Path) -> Choices:
    """Measure all of them."""
    return Choices(on_photographs(data), on_birds(data), on_trees(data), without_labels(data))


def on_photographs(data: Path) -> list[Row]:
    """Rows of the butterflies: 1, 2, 5 and 20 labels a species, at species, genus and family."""
    files, names = butterflies(data)
    return _chosen_and_measured(data, files, names, tree(sorted(set(names.tolist()))), (1, 2, 5, 20))


def on_birds(data: Path) -> list[Row]:
    """Rows of thumbnails of plates of birds, 64 pixels wide: 1 and 2 labels a family."""
    folder = data / "plates" / "audubon_small"
    family = {name: one for one, names in BIRD_FAMILIES.items() for name in names.split()}
    files = [file for file in sorted(folder.glob("*.png")) if file.stem in family]
    names = np.array([family[file.stem] for file in files])
    return _chosen_and_measured(data, files, names, Taxonomy({}, dict.fromkeys(BIRD_FAMILIES, "family")), (1, 2))


def _chosen_and_measured(
    data: Path, files: Sequence[Path], names: NDArray[np.str_], taxonomy: Taxonomy, shots: Sequence[int]
) -> list[Row]:
    """One row a network, number of labels and seed; the row of the chosen one says which it was."""
    vectors = {network: embedded(data, network, files) for network in AT_HAND}
    rows = []
    for seed in range(SEEDS):
        first, second = _halves(names, seed)
        part = [first[row] for row in sample(names[first].tolist(), [str(row) for row in first], SEEN, seed)]
        found = compare_backbones(
            {network: x[part] for network, x in vectors.items()},
            names[part].tolist(),
            [str(files[row]) for row in part],
            taxonomy,
            present=START,
            rounds=ROUNDS,
            seed=seed,
        )
        for label_n in shots:
            measured = {network: _measured(x, names, second, label_n, seed, taxonomy) for network, x in vectors.items()}
            if found.chosen not in measured:
                parts = [vectors[one] for one in found.chosen.split("+")]
                x = np.concatenate(parts, axis=1) / np.float32(np.sqrt(len(parts)))
                measured[found.chosen] = _measured(x, names, second, label_n, seed, taxonomy)
            rows += [{"network": network, "labels": label_n, "seed": seed, **measured[network]} for network in AT_HAND]
            rows.append({"network": CHOSEN, "was": found.chosen, "labels": label_n, "seed": seed,
                         **measured[found.chosen]})  # fmt: skip
    return rows


def _halves(names: NDArray[np.str_], seed: int) -> tuple[list[int], list[int]]:
    """Two halves of the rows, each with half of every class."""
    first: list[int] = []
    second: list[int] = []
    for name in sorted(set(names.tolist())):
        own = np.random.default_rng(seed).permutation(np.flatnonzero(names == name)).tolist()
        first += own[::2]
        second += own[1::2]
    return sorted(first), sorted(second)


def _measured(
    x: Floats, names: NDArray[np.str_], rows: Sequence[int], shots: int, seed: int, taxonomy: Taxonomy
) -> dict[str, float]:
    """Balanced accuracy by rank on the rows that `shots` labels a class leave over."""
    order = np.random.default_rng(seed).permutation(np.array(rows))
    learned = np.concatenate([order[names[order] == name][:shots] for name in sorted(set(names.tolist()))])
    tested = np.setdiff1d(order, learned)
    head = fit_head(x[learned], names[learned])
    said = np.array(head.classes_)[head.decision(x[tested]).argmax(axis=1)]
    return {"named": _share(names[tested], said), **_ranks(names[tested], said, taxonomy)}


def _ranks(truth: NDArray[np.str_], said: NDArray[np.str_], taxonomy: Taxonomy) -> dict[str, float]:
    shares = {}
    for rank in ("genus", "family"):
        own = np.array([taxonomy.at_rank(one, rank) or "" for one in truth.tolist()])
        other = np.array([taxonomy.at_rank(one, rank) or "?" for one in said.tolist()])
        if (own != "").all() and len(set(own.tolist())) > 1:
            shares[rank] = _share(own, other)
    return shares


def _share(truth: NDArray[np.str_], said: NDArray[np.str_]) -> float:
    _, codes = np.unique(np.concatenate([truth, said]), return_inverse=True)
    return balanced_accuracy(codes[: len(truth)].astype(np.int64), codes[len(truth) :].astype(np.int64))


def on_trees(data: Path) -> list[Row]:
    """One row a network and seed: half of the trees found from their other plate, where the other half chose.

    Two plates a tree are fewer than `compare_backbones` asks for, so the choice is the best network on the other half.
    """
    files, numbers, views = tree_plates(data)
    vectors = {network: embedded(data, network, files) for network in AT_HAND}
    trees = np.array(sorted(set(numbers.tolist())))
    rows = []
    for seed in range(SEEDS):
        halves = np.random.default_rng(seed).permutation(len(trees)) % 2 == 0
        on_first, on_second = (
            {network: _found(x, numbers, views, trees[half]) for network, x in vectors.items()}
            for half in (halves, ~halves)
        )
        best = max(on_first, key=lambda network: on_first[network])
        rows += [
            {"network": network, "labels": 1, "seed": seed, "named": share} for network, share in on_second.items()
        ]
        rows.append({"network": CHOSEN, "was": best, "labels": 1, "seed": seed, "named": on_second[best]})
    return rows


def _found(x: Floats, numbers: NDArray[np.str_], views: NDArray[np.str_], trees: NDArray[np.str_]) -> float:
    """The share of these trees found from the other of their two plates, both ways round."""
    here = np.isin(numbers, trees)
    shares = []
    for view in ("a", "b"):
        learned, tested = here & (views == view), here & (views != view)
        head = fit_head(x[learned], numbers[learned])
        said = np.array(head.classes_)[head.decision(x[tested]).argmax(axis=1)]
        shares.append(float((said == numbers[tested]).mean()))
    return float(np.mean(shares))


def without_labels(data: Path) -> list[Row]:
    """What the insect network's own classes make of the butterflies, with and without the scope of the ten species."""
    files, folders = butterflies(data)
    names = np.array([NOW_CALLED.get(name, name) for name in folders.tolist()])
    x = embedded(data, "mobilenet_v2_inat_insect", files)
    classifier = own_classifier(INSECTS, data / "weights")
    if classifier is None:
        raise FileNotFoundError(f"there are no weights and labels of {INSECTS} in {data / 'weights'}")
    everything = {label: name for label in classifier.labels if (name := scientific_name(label))}
    scope = {label: name for label, name in everything.items() if name in set(names.tolist())}
    rows = []
    for what, mapping in (("all its own taxa", everything), ("the ten species as scope", scope)):
        head = borrowed_head(classifier, mapping).head
        said = np.array(head.classes_)[head.decision(x).argmax(axis=1)]
        known = np.isin(names, list(scope.values()))
        rows.append(
            {"what": what, "classes": len(head.classes_), "n": len(names), "right": float((said == names).mean()),
             "known": int(known.sum()), "right_of_known": float((said == names)[known].mean())}
        )  # fmt: skip
    return rows


def misses(found: Choices, published: Mapping[str, Sequence[float]]) -> list[str]:
    """Cells in which the chosen network is not above the best published, or is below the one it took the place of."""
    told = []
    photographs = _means(found.photographs)
    best = [max(cells) for cells in zip(*published.values(), strict=True)]
    for shots, mark in zip((1, 2, 5, 20), best, strict=True):
        if (own := photographs[CHOSEN, shots]["named"]) <= mark:
            told.append(f"MISS: photographs, {shots} labels: the chosen network {own:.3f}, published {mark:.3f}")
    for what, rows in (("photographs", found.photographs), ("birds", found.birds), ("trees", found.trees)):
        means = _means(rows)
        for network, shots in means:
            own, other = means[CHOSEN, shots]["named"], means[network, shots]["named"]
            if network != CHOSEN and own < other - 1e-9:
                told.append(f"MISS: {what}, {shots} labels: the chosen network {own:.3f}, {network} {other:.3f}")
    right = found.without_labels[-1]["right"]
    if right <= best[0]:
        told.append(f"MISS: no label at all, within the scope: {right:.3f}; published with one label {best[0]:.3f}")
    return told


def _means(rows: Sequence[Row]) -> dict[tuple[str, int], dict[str, float]]:
    cells: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        cells[row["network"], row["labels"]].append(row)
    return {
        key: {
            rank: float(np.mean([one[rank] for one in own])) for rank in ("named", "genus", "family") if rank in own[0]
        }
        for key, own in cells.items()
    }


def choice_tables(found: Choices) -> list[str]:
    """The tables in Markdown, each after the sentence that explains it."""
    zero = [
        [row["what"], row["classes"], f"{row['right']:.3f}", f"{row['right_of_known']:.3f}"]
        for row in found.without_labels
    ]
    return [
        (
            f"Chosen by `compare_backbones` on {SEEN} pictures of one half, all measured on the other with the same "
            f"draws ({SEEDS} halvings; a campaign would have {START} without a choice). Balanced accuracy at species, "
            f"genus and family; {_was(found.photographs)}:"
        ),
        _table(found.photographs, "/".join),
        (
            "The same on plates of birds by family, thumbnails only 64 pixels wide: little can be seen, and a choice "
            f"made on so few plates is worth little; {_was(found.birds)}:"
        ),
        _table(found.birds, lambda cells: cells[0]),
        (
            "Familiar trees, one plate to learn and the other to find, the network that was best on the other half of "
            f"the trees; {_was(found.trees)}. No network at hand was trained on plates of plants:"
        ),
        _table(found.trees, lambda cells: cells[0]),
        (
            "No label at all: the insect network's own classes on the butterflies. One of the ten species is not among "
            "them and can only be wrong; *of those it knows* leaves it out:"
        ),
        markdown(["what it may say", "taxa", "right", "of those it knows"], zero),
    ]


def _was(rows: Sequence[Row]) -> str:
    chosen = {row["seed"]: row["was"] for row in rows if row["network"] == CHOSEN}
    times: dict[str, int] = defaultdict(int)
    for was in chosen.values():
        times[was] += 1
    return "chosen was " + ", ".join(f"{name} ({n})" for name, n in sorted(times.items(), key=lambda one: -one[1]))


def _table(rows: Sequence[Row], cell: Callable[[list[str]], str]) -> str:
    means = _means(rows)
    shots = sorted({key[1] for key in means})
    body = [
        [network, *(cell([f"{share:.3f}" for share in means[network, n].values()]) for n in shots)]
        for network in (*AT_HAND, CHOSEN)
    ]
    return markdown(["network", *(f"{n} a class" for n in shots)], body)
