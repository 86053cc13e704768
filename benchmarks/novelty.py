"""Claim: six scores together know what the model does not know better than its highest probability does.

Two of ten species of butterfly are left out, in five rounds so that each is left out once; a head learns 20
photographs of each other one, and the novelty model learns from those same photographs alone by leaving classes out.
Then known species, left-out species (near) and photographs of other things (far) are told apart by the stack, by each
score alone, and by one minus the highest probability (MSP). A second stack is also told 20 of the other things and is
measured on the rest. Misses are printed as misses.

Two networks flatter: the insect one was trained on these very species, and ImageNet's probably on the other things.

    python benchmarks/novelty.py [--data ../shared/data] [--write] [--json]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from active_learning import LinearHead, NoveltyModel, Strangeness, fit_novelty, leave_classes_out
from active_learning.novelty import FAR, KNOWN, NEAR, SCORES, auroc, tpr_at
from benchmarks.support.embedded import BACKBONES, butterflies, embedded, other_things, tree
from benchmarks.support.opening import opened, options
from benchmarks.support.report import machine_and_day, markdown, write_section

Floats = NDArray[np.float32]
Scores = NDArray[np.float64]

LABELS, FAR_TOLD, L2 = 20, 20, 1e-3
STACK, TOLD, MSP = "stack (ours)", "stack, told 20 far (ours)", "MSP"
GOALS = {"far TPR at 1 %": 0.80, "near AUROC": 0.80}
MEASURES = ("near AUROC", "near TPR at 1 %", "near TPR at 5 %", "far AUROC", "far TPR at 1 %", "far TPR at 5 %")
Row = dict[str, float | str]
INTRODUCTION = (__doc__ or "").partition("    python ")[0]


def rounds(species: Sequence[str]) -> list[tuple[str, ...]]:
    """The species left out in each round: two, and over all rounds each once."""
    order = np.random.default_rng(0).permutation(np.array(species))
    return [tuple(str(name) for name in order[i : i + 2]) for i in range(0, len(order), 2)]


def one_round(
    x: Floats, names: NDArray[np.str_], other: Floats, left_out: Sequence[str], seed: int
) -> tuple[dict[str, Row], dict[str, dict[str, int]]]:
    """The measures of each way to score, and the verdicts of the stack at 5 % false alarms, for one round."""
    taxonomy = tree(sorted(set(names.tolist())))
    order = np.random.default_rng(seed).permutation(len(names))
    kept = [name for name in sorted(set(names.tolist())) if name not in left_out]
    learned = np.concatenate([order[names[order] == name][:LABELS] for name in kept])
    y = [str(name) for name in names[learned]]
    known_rows = np.setdiff1d(np.flatnonzero(np.isin(names, kept)), learned)
    head = LinearHead(L2).fit(x[learned], y)
    strangeness = Strangeness.fit(head, x[learned], y, taxonomy)
    sources = [str(row) for row in learned]
    examples = leave_classes_out(lambda: LinearHead(L2), x[learned], y, sources, taxonomy, seed=seed)
    sets = {KNOWN: x[known_rows], NEAR: x[np.isin(names, left_out)], FAR: other}
    scores = {what: strangeness.scores(vectors) for what, vectors in sets.items()}
    far_order = np.random.default_rng(seed).permutation(len(other))
    told = fit_novelty(examples, scores[FAR][far_order[:FAR_TOLD]])
    stack = fit_novelty(examples)
    rows = {
        STACK: measured({what: stack.value(s) for what, s in scores.items()}),
        MSP: measured({what: 1.0 - head.predict_proba(vectors).max(axis=1) for what, vectors in sets.items()}),
    }
    for place, name in enumerate(SCORES):
        rows[name] = measured({what: s[:, place] for what, s in scores.items()})
    unseen = {**scores, FAR: scores[FAR][far_order[FAR_TOLD:]]}
    rows[TOLD] = measured({what: told.value(s) for what, s in unseen.items()})
    return rows, {STACK: verdicts(stack, scores), TOLD: verdicts(told, unseen)}


def measured(values: Mapping[str, Scores]) -> Row:
    """All measures of one way to score."""
    row: Row = {}
    for what in (NEAR, FAR):
        row[f"{what} AUROC"] = auroc(values[what], values[KNOWN])
        row[f"{what} TPR at 1 %"] = tpr_at(values[what], values[KNOWN], 0.01)
        row[f"{what} TPR at 5 %"] = tpr_at(values[what], values[KNOWN], 0.05)
    return row


def verdicts(model: NoveltyModel, scores: Mapping[str, Scores]) -> dict[str, int]:
    """How many figures of each kind got each verdict at 5 % false alarms, as `kind > verdict`."""
    counts = {f"{kind} > {verdict}": 0 for kind in (KNOWN, NEAR, FAR) for verdict in (KNOWN, NEAR, FAR)}
    for kind, own in scores.items():
        for verdict in model.verdicts(own):
            counts[f"{kind} > {verdict}"] += 1
    return counts


def measure(data: Path) -> tuple[list[Row], list[Row]]:
    """Means over the rounds with their lowest and highest, a row a network and way; and the verdicts."""
    files, names = butterflies(data)
    rows: list[Row] = []
    told: list[Row] = []
    for weights in BACKBONES:
        x, other = embedded(data, weights, files), embedded(data, weights, other_things(data))
        results = [
            one_round(x, names, other, out, seed) for seed, out in enumerate(rounds(sorted(set(names.tolist()))))
        ]
        for way in results[0][0]:
            row: Row = {"network": weights.removeprefix("mobilenet_v2_"), "way": way}
            for measure_name in MEASURES:
                values = [float(result[way][measure_name]) for result, _ in results]
                row[measure_name] = float(np.mean(values))
                row[f"{measure_name} low"], row[f"{measure_name} high"] = min(values), max(values)
            rows.append(row)
        for way in (STACK, TOLD):
            counts: Row = {"network": weights.removeprefix("mobilenet_v2_"), "way": way}
            for kind in (KNOWN, NEAR, FAR):
                own = {v: sum(result[way][f"{kind} > {v}"] for _, result in results) for v in (KNOWN, NEAR, FAR)}
                counts |= {f"{kind} > {v}": n / sum(own.values()) for v, n in own.items()}
            told.append(counts)
    return rows, told


def table(rows: Sequence[Row], told: Sequence[Row]) -> str:
    """Both tables, and what missed its goal."""
    body = [
        [row["network"], row["way"]]
        + [f"{row[m]:.3f} ({row[f'{m} low']:.2f}–{row[f'{m} high']:.2f})" for m in MEASURES]
        for row in rows
    ]
    cells = [f"{kind} > {verdict}" for kind in (KNOWN, NEAR, FAR) for verdict in (KNOWN, NEAR, FAR)]
    shares = [[row["network"], row["way"], *(f"{float(row[cell]):.3f}" for cell in cells)] for row in told]
    return "\n\n".join(
        [
            machine_and_day() + " Means of five rounds (lowest–highest).",
            markdown(["network", "score", *MEASURES], body, left=2),
            "Shares of each kind that get each verdict, with the threshold at 5 % false alarms:",
            markdown(["network", "way", *cells], shares, left=2),
            "\n".join(misses(rows)) or "All goals are met.",
        ]
    )


def misses(rows: Sequence[Row]) -> list[str]:
    """One line for each goal that a stack missed, and for each measure where a single score did better."""
    said = []
    for network in dict.fromkeys(row["network"] for row in rows):
        own = {str(row["way"]): row for row in rows if row["network"] == network}
        for name, goal in GOALS.items():
            if float(own[STACK][name]) < goal:
                said.append(f"- MISS: {network}, {name}: {own[STACK][name]:.3f}, goal {goal:.2f}.")
        for name in MEASURES:
            better = [way for way in (MSP, *SCORES) if float(own[way][name]) > float(own[STACK][name]) + 0.005]
            if better:
                said.append(f"- MISS: {network}, {name}: alone better than the stack: {', '.join(better)}.")
    return said


def main() -> int:
    """Measure and print. Exit code 1 if the stack has a lower mean AUROC than MSP anywhere."""
    parser = options(__doc__, as_json=True)
    arguments, data = opened(parser)
    rows, told = measure(data)
    print(json.dumps({"scores": rows, "verdicts": told}, indent=1) if arguments.json else table(rows, told))
    if arguments.write:
        write_section("novelty", table(rows, told), "Knowing what it does not know", INTRODUCTION)
    score = {(row["network"], row["way"]): row for row in rows}
    networks = dict.fromkeys(row["network"] for row in rows)
    held = all(
        float(score[network, STACK][name]) >= float(score[network, MSP][name])
        for network in networks
        for name in ("near AUROC", "far AUROC")
    )
    print("the claim holds" if held else "THE CLAIM DOES NOT HOLD", file=sys.stderr)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
