"""Claim: with the same few labels our head is nowhere worse than scikit-learn's logistic regression.

Photographs of ten butterflies, five draws of 1, 2, 5 and 20 labels a species, balanced accuracy on all others. The
head that stands for the claim is `fit_head`, chosen before measuring; the others are shown beside it. A cell is
better or worse only where the 95 % interval of the difference over draws leaves out zero. The last way also uses the
photographs without labels: half of them while the other half is measured, and the other way round; it profits from
classes that are all equally frequent, as these are.

Where nobody errs (the insect network was trained on these very species) a cell says nothing about heads. Plates come
after: 57 trees with two plates each, one to learn and one to find, and the families of another book, of which there
is one plate each, so that only finding them across books can be measured. Then what choosing a network is worth (on
pictures that the choice never saw), and what a network's own classes are worth without any label. Then what the
calibrated model dares to say, and what fitting costs on drawn vectors of 500 classes.

    python benchmarks/few_labels.py [--data ../shared/data] [--write] [--json]
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from active_learning import (
    LDAHead,
    PrototypeHead,
    Taxonomy,
    apply_temperature,
    fit_coarse,
    fit_conformal,
    fit_head,
    fit_ranks,
    measure_ranks,
)
from active_learning.metrics import balanced_accuracy
from benchmarks.support.choice import Choices, choice_tables, choices, misses
from benchmarks.support.embedded import (
    BACKBONES,
    butterflies,
    embedded,
    tree,
    tree_plates,
    twining_plates,
)
from benchmarks.support.opening import opened, options
from benchmarks.support.report import machine_and_day, markdown, write_section

Floats = NDArray[np.float32]
Labels = NDArray[np.str_]
Predict = Callable[[Floats, Labels, Floats], Labels]
Row = dict[str, Any]
INTRODUCTION = (__doc__ or "").partition("    python ")[0]

SHOTS, SEEDS = (1, 2, 5, 20), 5
STUDENT = 2.776  # 97.5 % point of Student's t with four degrees of freedom
OURS, PEER, UNLABELLED = "fit_head (ours)", "scikit-learn logistic", "prototype + unlabelled (ours)"
NETWORKS = (*BACKBONES, "mobilenet_v2+mobilenet_v2_inat_insect")
PUBLISHED = {  # of the README beside the photographs: its peer, with its own preprocessing and draws
    "mobilenet_v2": (0.780, 0.879, 0.962, 0.984),
    "mobilenet_v2_inat_insect": (0.998, 0.997, 0.998, 0.999),
    "mobilenet_v2_inat_bird": (0.580, 0.730, 0.869, 0.934),
}
FAMILY_OF = {
    "ACERACEÆ": "maple sycamore", "AMENTACEÆ": "oak holm-oak sweet-chestnut hazel beech aspen silver-birch "
    "hornbeam pollard-white-willow abele lombardy-poplar alder weeping-willow", "AMYGDALACEÆ": "cherry plum",
    "CAPRIFOLIACEÆ": "guelder-rose wayfaring-tree elder", "CONIFERACEÆ": "cluster-pine wellingtonia corsican-pine yew "
    "douglas-fir stone-pine scots-fir cypress cedar-of-lebanon spruce larch", "ERICACEÆ": "strawberry-tree",
    "HIPPOCASTANACEÆ": "horse-chestnut", "JUGLANDACEÆ": "walnut", "LEGUMINOSÆ": "laburnum acacia", "OLEACEÆ": "ash",
    "POMACEÆ": "rowan white-beam apple service-tree medlar pear hawthorn", "RANUNCULACEÆ": "travellers-joy",
    "RHAMNACEÆ": "alder-buckthorn", "TAMARICACEÆ": "tamarisk", "TILIACEÆ": "linden",
}  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """The rows of all tables."""

    photographs: list[Row]
    plates: list[Row]
    families: list[Row]
    honest: list[Row]
    costs: list[Row]
    choice: Choices


def with_head(fit: Callable[[Floats, Labels], Any]) -> Predict:
    """How a head that is fitted by `fit` names vectors."""

    def predict(x: Floats, y: Labels, tested: Floats) -> Labels:
        head = fit(x, y)
        classes = head.classes_
        found: Labels = np.asarray(classes)[head.predict_proba(tested).argmax(axis=1)]
        return found

    return predict


def with_unlabelled(x: Floats, y: Labels, tested: Floats) -> Labels:
    """Names by a prototype head that also saw the other half of the photographs, without their names."""
    no_tree = Taxonomy({}, {})
    found = np.empty(len(tested), dtype=y.dtype)
    half = np.random.default_rng(0).permutation(len(tested)) % 2 == 0
    for seen in (half, ~half):
        names = [*y.tolist(), *[None] * int(seen.sum())]
        head = fit_coarse(lambda: PrototypeHead(20.0), np.concatenate([x, tested[seen]]), names, no_tree).head
        found[~seen] = np.asarray(head.classes_)[head.decision(tested[~seen]).argmax(axis=1)]
    return found


def ways() -> dict[str, Predict]:
    """Each way to learn, by the name in the table."""
    from sklearn.linear_model import LogisticRegression

    return {
        OURS: with_head(fit_head),
        "LDA (ours)": with_head(lambda x, y: LDAHead().fit(x, y)),
        "prototype (ours)": with_head(lambda x, y: PrototypeHead().fit(x, y)),
        UNLABELLED: with_unlabelled,
        PEER: with_head(lambda x, y: LogisticRegression(max_iter=2000).fit(x, y)),
    }


def photographs(data: Path) -> list[Row]:
    """One row a network, way and number of labels: the five balanced accuracies and the number of errors."""
    files, names = butterflies(data)
    codes = np.unique(names, return_inverse=True)[1]
    rows = []
    for network in NETWORKS:
        x = embedded(data, network, files)
        for way, predict in ways().items():
            for shots in SHOTS:
                scores, errors, tested_n = [], 0, 0
                for seed in range(SEEDS):
                    order = np.random.default_rng(seed).permutation(len(names))
                    learned = np.concatenate([order[codes[order] == code][:shots] for code in np.unique(codes)])
                    tested = np.setdiff1d(order, learned)
                    found = np.searchsorted(np.unique(names), predict(x[learned], names[learned], x[tested]))
                    scores.append(balanced_accuracy(codes[tested], found))
                    errors += int((found != codes[tested]).sum())
                    tested_n += len(tested)
                rows.append(
                    {"network": network, "way": way, "labels": shots, "scores": scores, "errors": errors, "n": tested_n}
                )
    return rows


def plates(data: Path) -> list[Row]:
    """One row a network and way: the share of 57 trees found from the other of their two plates, both ways round."""
    files, numbers, views = tree_plates(data)
    rows = []
    for network in NETWORKS:
        x = embedded(data, network, files)
        for way, predict in ways().items():
            if way == UNLABELLED:
                continue
            right = 0
            for view in ("a", "b"):
                learned, tested = views == view, views != view
                right += int((predict(x[learned], numbers[learned], x[tested]) == numbers[tested]).sum())
            rows.append({"network": network, "way": way, "right": right, "n": len(files)})
    return rows


def families(data: Path) -> list[Row]:
    """One row a network: where the right family's only plate stands among 160, for leaf plates of another book."""
    files, _, views = tree_plates(data)
    books, printed = twining_plates(data)
    family = {tree: name for name, trees in FAMILY_OF.items() for tree in trees.split()}
    wanted = [family.get(file.stem.partition("_")[2]) for file in files]
    rows = []
    for network in NETWORKS:
        trees, theirs = embedded(data, network, files), embedded(data, network, books)
        # Each book is centred on itself: what all its plates share is its paper and its printer.
        cosines = _unit(trees - trees.mean(axis=0)) @ _unit(theirs - theirs.mean(axis=0)).T
        ranks = [
            int((cosines[row] > cosines[row][printed == name].max()).sum()) + 1
            for row, name in enumerate(wanted)
            if name is not None and views[row] == "b"
        ]
        top5 = float(np.mean([rank <= 5 for rank in ranks]))
        rows.append({"network": network, "n": len(ranks), "median": float(np.median(ranks)), "top5": top5})
    return rows


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def compared(rows: Sequence[Row]) -> list[Row]:
    """Each cell of `fit_head` against the peer on the same draws: the difference, its interval, and what it says."""
    cell = {(row["network"], row["way"], row["labels"]): row for row in rows}
    found = []
    for network in NETWORKS:
        for place, shots in enumerate(SHOTS):
            ours, peer = cell[network, OURS, shots], cell[network, PEER, shots]
            gaps = np.array(ours["scores"]) - np.array(peer["scores"])
            half = STUDENT * float(gaps.std(ddof=1)) / np.sqrt(len(gaps))
            published = PUBLISHED[network][place] if network in PUBLISHED else None
            mean = float(np.mean(ours["scores"]))
            low, high = gaps.mean() - half, gaps.mean() + half
            if ours["errors"] == 0 and peer["errors"] == 0:
                verdict = "nobody errs"
            else:
                verdict = "better" if low > 1e-9 else "WORSE" if high < -1e-9 else "not told apart"
            if published is not None and mean <= published:
                verdict += ", MISS: below the published"
            found.append(
                {"network": network, "labels": shots, "ours": mean, "peer": float(np.mean(peer["scores"])),
                 "gap": float(gaps.mean()), "half": half, "published": published, "verdict": verdict}
            )  # fmt: skip
    return found


def honest(data: Path) -> list[Row]:
    """One row a network and rank: calibration and claims on one half, scales fitted on the other, after 5 labels."""
    files, names = butterflies(data)
    taxonomy = tree(sorted(set(names.tolist())))
    rows = []
    for network in BACKBONES:
        x = embedded(data, network, files)
        order = np.random.default_rng(0).permutation(len(names))
        learned = np.concatenate([order[names[order] == name][:5] for name in sorted(set(names.tolist()))])
        rest = order[~np.isin(order, learned)]
        fitted, tested = rest[::2], rest[1::2]
        head = fit_head(x[learned], names[learned])
        model = fit_ranks(head.decision(x[fitted]), names[fitted].tolist(), head.classes_, taxonomy)
        decision = head.decision(x[tested])
        for figure in measure_ranks(model, decision, names[tested].tolist()):
            rows.append({"network": network, "tested": len(tested), **asdict(figure)})
        codes = np.searchsorted(head.classes_, names)
        proba = apply_temperature(head.decision(x[fitted]), model.scales[0].temperature)
        sets = fit_conformal(proba, codes[fitted], head.classes_).sets(
            apply_temperature(decision, model.scales[0].temperature), 0.1
        )
        held = sets[np.arange(len(tested)), codes[tested]]
        macro = float(np.mean([held[codes[tested] == code].mean() for code in np.unique(codes)]))
        rows[-1] |= {"covered": float(held.mean()), "macro": macro, "set_size": float(sets.sum(axis=1).mean())}
    return rows


def costs() -> list[Row]:
    """Seconds to fit each head to 20,000 drawn vectors of 576 numbers in 500 classes, once each."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(0)
    y = np.concatenate([np.arange(500), rng.choice(500, 19_500, p=(w := 1 / np.arange(1, 501)) / w.sum())])
    x = rng.normal(size=(500, 576))[y] + 3.0 * rng.normal(size=(len(y), 576))
    vectors = _unit(x.astype(np.float32))
    labels = np.array([f"taxon {number:03d}" for number in y])
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    rows = []
    fits: dict[str, Callable[[], Any]] = {
        "prototype (ours)": lambda: PrototypeHead().fit(vectors, labels),
        "LDA (ours)": lambda: LDAHead(0.1).fit(vectors, labels),
        "scikit-learn LDA, lsqr": lambda: oracle.fit(vectors, labels),
        "linear (ours)": lambda: fit_head(vectors, labels),
    }
    for way, fit in fits.items():
        before = time.process_time()
        head = fit()
        rows.append({"way": way, "seconds": time.process_time() - before})
        if way in ("prototype (ours)", "LDA (ours)"):
            before = time.process_time()
            head.add_class("taxon 500", vectors[:5])
            rows.append({"way": f"{way}, one class more", "seconds": time.process_time() - before})
    return rows


def short(network: str) -> str:
    """The name of a network without what all share."""
    return "+".join(part.removeprefix("mobilenet_v2_") for part in network.split("+"))


def tables(measured: Measured) -> str:
    """All tables in Markdown."""
    photos = measured.photographs
    cells: dict[tuple[str, str], list[str]] = {}
    for row in photos:
        cells.setdefault((row["network"], row["way"]), []).append(
            f"{np.mean(row['scores']):.3f} ± {np.std(row['scores'], ddof=1):.3f}"
        )
    every = [[short(network), way, *values] for (network, way), values in cells.items()]
    against = [
        [short(row["network"]), row["labels"], f"{row['ours']:.4f}", f"{row['peer']:.4f}",
         f"{row['gap']:+.4f} ± {row['half']:.4f}", row["published"] or "–", row["verdict"]]
        for row in compared(photos)
    ]  # fmt: skip
    can_err = [row for row in compared(photos) if row["verdict"] != "nobody errs"]
    better = sum(row["verdict"] == "better" for row in can_err)
    above = sum(row["published"] is not None and row["peer"] > row["published"] for row in compared(photos))
    return "\n\n".join(
        [
            machine_and_day() + " Balanced accuracy, mean ± standard deviation of five draws.",
            markdown(["network", "way", *(f"{shots} a class" for shots in SHOTS)], every, left=2),
            (
                "`fit_head` against the peer on the same draws (difference with its 95 % interval over draws), and the "
                "figures published with the photographs for the same peer. Those were made with another preprocessing "
                f"and other draws: with ours the peer itself is above them in {above} of 12 cells, so being above them "
                f"says little about heads. Better beyond chance in {better} of {len(can_err)} cells in which anybody "
                "errs; to win them all was the wish, and it is missed."
            ),
            markdown(["network", "labels", "ours", "peer", "difference", "published", "verdict"], against),
            "57 trees, one plate to learn and the other (another view) to find; chance is 0.018:",
            markdown(
                ["network", "way", "found", "of", "share"],
                [
                    [short(r["network"]), r["way"], r["right"], r["n"], f"{r['right'] / r['n']:.3f}"]
                    for r in measured.plates
                ],
                left=2,
            ),
            (
                "Families across two books, one plate a family to find (of 160; chance: median 80, top five 0.031). "
                "The 48 plates are of 15 families only, half of them of two, so the shares are rougher than they look:"
            ),
            markdown(
                ["network", "plates", "median place", "in the top five"],
                [[short(r["network"]), r["n"], r["median"], f"{r['top5']:.3f}"] for r in measured.families],
            ),
            *choice_tables(measured.choice),
            *_later_tables(measured),
        ]
    )


def _later_tables(measured: Measured) -> list[str]:
    claims = [
        [short(r["network"]), r["rank"], r["n"], f"{r['accuracy']:.3f}",
         f"{r['calibration']['ece']:.3f} ({r['calibration']['low']:.3f}–{r['calibration']['high']:.3f})",
         f"{r['calibration']['noise_floor']:.3f}", f"{r['nll']:.3f}", f"{r['brier']:.3f}",
         f"{r['said'] / r['tested']:.3f}", f"{r['said_right']:.3f}" if r["said"] else "–"]
        for r in measured.honest
    ]  # fmt: skip
    sets = [
        [short(r["network"]), f"{r['covered']:.3f}", f"{r['macro']:.3f}", f"{r['set_size']:.2f}"]
        for r in measured.honest
        if "covered" in r
    ]
    head = ["network", "rank", "n", "accuracy", "ECE", "noise floor", "NLL", "Brier", "said", "right of it"]
    return [
        (
            "After 5 labels a class: each rank's probabilities, and how much is said there as the deepest name (goal: "
            "95 % right on 70 %); one split, scales fitted on one half and measured on the other:"
        ),
        markdown(head, claims, left=2),
        "Conformal sets that promise 90 %, on the same halves:",
        markdown(["network", "covered", "by class", "classes in a set"], sets),
        "CPU seconds to fit 20,000 vectors of 576 numbers in 500 classes, once each:",
        markdown(["way", "seconds"], [[row["way"], f"{row['seconds']:.3f}"] for row in measured.costs]),
    ]


def main() -> int:
    """Measure and print. Exit code 1 if a cell is lost to the peer or to what was published."""
    parser = options(__doc__, as_json=True)
    arguments, data = opened(parser)
    warnings.simplefilter("ignore")  # scikit-learn on one example a class
    measured = Measured(photographs(data), plates(data), families(data), honest(data), costs(), choices(data))
    print(json.dumps(asdict(measured), indent=1) if arguments.json else tables(measured))
    if arguments.write:
        write_section("few_labels", tables(measured), "What few labels are worth", INTRODUCTION)
    lost = [row for row in compared(measured.photographs) if "WORSE" in row["verdict"] or "MISS" in row["verdict"]]
    for line in misses(measured.choice, PUBLISHED):
        print(line, file=sys.stderr)
    print("the claim holds" if not lost else f"THE CLAIM DOES NOT HOLD in {len(lost)} cells", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
