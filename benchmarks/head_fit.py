"""Claim: our linear head is as accurate as scikit-learn's logistic regression, and better than a random forest on PCA.

Embeds photographs of ten butterflies once, then fits each head on the same 1, 2, 5 and 20 labels a species, five
times over, and measures balanced accuracy on all other photographs. The random forest is EcoTaxa's recipe (PCA
to 50, 300 trees, at least 5 figures a leaf).

    python benchmarks/head_fit.py --data ../shared/data [--weights mobilenet_v2.pth] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from active_learning import LinearHead, PrototypeHead, fit_head, load_backbone, open_figure, set_threads
from active_learning.metrics import balanced_accuracy

SHOTS = (1, 2, 5, 20)
SEEDS = 5


def embedded(data: Path, weights: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Vectors and species of all butterflies; `weights` is a file in the weights folder, or `classical`."""
    name = "classical" if weights == "classical" else "mobilenet_v2"
    backbone = load_backbone(name, None if name == "classical" else data / "weights" / weights, allow_hub=False)
    folders = sorted(f for f in (data / "photos" / "butterflies").iterdir() if not f.name.startswith("_"))
    files = [(file, number) for number, folder in enumerate(folders) for file in sorted(folder.glob("*.jpg"))]
    before = time.perf_counter()
    x = backbone.embed([open_figure(file) for file, _ in files])
    each = (time.perf_counter() - before) / len(files)
    print(f"{backbone.version}: {len(files)} photographs, {each * 1e3:.1f} ms each", file=sys.stderr)
    return x, np.array([number for _, number in files], dtype=np.int64)


def forest(n: int) -> Any:
    """EcoTaxa's recipe for n labels."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline

    trees = RandomForestClassifier(300, min_samples_leaf=5, random_state=0, class_weight="balanced", n_jobs=1)
    return make_pipeline(PCA(min(50, n - 1), random_state=0), trees)


def heads() -> dict[str, Callable[[NDArray[np.float32], NDArray[np.int64]], Any]]:
    """How each head is fitted, by the name in the table."""
    from sklearn.linear_model import LogisticRegression

    return {
        "fit_head (ours)": lambda x, y: fit_head(x, y),
        "linear 1e-3 (ours)": lambda x, y: LinearHead(1e-3).fit(x, y),
        "prototype (ours)": lambda x, y: PrototypeHead().fit(x, y),
        "scikit-learn logistic": lambda x, y: LogisticRegression(max_iter=2000).fit(x, y),
        "PCA 50 + random forest": lambda x, y: forest(len(y)).fit(x, y),
    }


def measure(x: NDArray[np.float32], y: NDArray[np.int64]) -> list[dict[str, Any]]:
    """One row a head and number of labels: mean balanced accuracy and mean seconds to fit."""
    rows = []
    for name, fit in heads().items():
        for shots in SHOTS:
            scores, seconds = [], []
            for seed in range(SEEDS):
                order = np.random.default_rng(seed).permutation(len(y))
                learned = np.concatenate([order[y[order] == label][:shots] for label in np.unique(y)])
                tested = np.setdiff1d(order, learned)
                before = time.perf_counter()
                head = fit(x[learned], y[learned])
                seconds.append(time.perf_counter() - before)
                # All class ids have one digit, so that text and number sort alike.
                found = head.predict_proba(x[tested]).argmax(axis=1)
                scores.append(balanced_accuracy(y[tested], found))
            mean = float(np.mean(scores))
            rows.append({"head": name, "labels": shots, "balanced": mean, "seconds": float(np.median(seconds))})
    return rows


def main() -> int:
    """Print the table, as text or JSON. Exit code 1 if the claim does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--weights", default="mobilenet_v2.pth")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.data / "photos" / "butterflies").is_dir():
        print(f"There are no photographs in {arguments.data}; give their folder with --data.", file=sys.stderr)
        return 2
    set_threads(1)
    warnings.simplefilter("ignore")  # scikit-learn on two examples a class
    rows = measure(*embedded(arguments.data, arguments.weights))
    if arguments.json:
        print(json.dumps(rows, indent=1))
    else:
        for name in dict.fromkeys(row["head"] for row in rows):
            own = [row for row in rows if row["head"] == name]
            scores = "  ".join(f"{row['labels']:>2}: {row['balanced']:.3f} ({row['seconds']:.3f} s)" for row in own)
            print(f"{name:<24}{scores}")
    score = {(row["head"], row["labels"]): row["balanced"] for row in rows}
    held = all(score["fit_head (ours)", n] >= score["scikit-learn logistic", n] - 0.01 for n in SHOTS)
    held = held and score["fit_head (ours)", 20] >= score["PCA 50 + random forest", 20]
    print("the claim holds" if held else "THE CLAIM DOES NOT HOLD", file=sys.stderr)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
