"""Claim: embedding from files is twice as fast as a plain torchvision loop, and close to the bare forward pass.

Makes JPEG scans of 1024 x 1400 pixels from real plates and photographs, and measures pictures a second, end to end:

- ours: `embed_files` (reduced decoding, threads, batch norms folded);
- the loop: Pillow decodes in full, torchvision's own transform for these weights, batches of 32, the network as built;
- the limit: only the forward pass of our network on ready tensors, nothing read; what no reader can beat.

All have the same number of threads. They run in turns, a few rounds; a figure is the median of its rounds.

    python benchmarks/embedding.py [--data ../shared/data] [--scans 200] [--threads 2] [--rounds 5]
        [--networks mobilenet_v2] [--json] [--write]
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from active_learning import ARCHITECTURES, Backbone, embed_files, load_backbone, set_threads
from active_learning.torch_networks import fold_norms
from active_learning.weights import find_weights, read_state
from benchmarks.support.opening import opened, options
from benchmarks.support.report import machine_and_day, markdown, write_section

SIZE = (1024, 1400)  # pixels of a scan
QUALITY = 88
LOOP_BATCH = 32
OUR_BATCH = 16
TIMES_THE_LOOP = 2.0
SHARE_OF_LIMIT = 0.8
HEAVY = "efficientnet_v2_s"
HEAVY_SHARE = 8  # a heavy network gets this many times fewer scans, or a run would take half an hour
NETWORKS = ("mobilenet_v3_small", "mobilenet_v2", HEAVY)
OURS, LOOP, LIMIT = "ours", "loop", "limit"
INTRODUCTION = """
Pictures a second from JPEG files to vectors: `embed_files`, a plain torchvision loop (full decoding, torchvision's own
transform, batches of 32, no folding), and the bare forward pass of our network on ready tensors, which nothing that
reads files can reach. Same scans, same threads, in turns; medians. mobilenet_v2 has real weights, the others random
ones, as for speed alone they are the same. Made by `benchmarks/embedding.py`.
"""


@dataclass(frozen=True)
class Peer:
    """One network: our backbone, the same weights as torchvision builds it, and how torchvision prepares its input."""

    name: str
    backbone: Backbone
    plain: Any  # pixels (b, 3, side, side) to (b, dim)
    folded: Any
    transform: Callable[[Image.Image], Any]


def make_scans(data: Path, folder: Path, number: int) -> list[Path]:
    """So many JPEG files of SIZE, from plates and photographs in turn."""
    plates = sorted((data / "plates").glob("*/*.jpg"))
    photographs = sorted((data / "photos" / "butterflies").glob("[!_]*/*.jpg"))
    large = [file for file in plates if "_small" not in file.parent.name]
    order = np.random.default_rng(0)
    pairs = zip(order.permutation(np.array(large)), order.permutation(np.array(photographs)), strict=False)
    scans = []
    for place, source in enumerate(itertools.islice(itertools.cycle(itertools.chain(*pairs)), number)):
        scan = folder / f"{place:04}.jpg"
        with Image.open(source) as image:
            image.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC).save(scan, quality=QUALITY)
        scans.append(scan)
    return scans


def peer(name: str, weights: Path, random_weights: Path) -> Peer:
    """The network with its weights from the folder, or with random ones, that are for speed alone."""
    import torch
    import torchvision
    from safetensors.torch import save_file
    from torch import nn

    def whole() -> Any:
        return getattr(torchvision.models, name)(weights=None)

    file = find_weights(name, weights)
    if file is None:
        torch.manual_seed(0)
        file = random_weights / f"{name}.safetensors"
        save_file(whole().state_dict(), file)

    def features() -> Any:
        network = whole()
        network.load_state_dict(read_state(file))
        return nn.Sequential(network.features, nn.AdaptiveAvgPool2d(1), nn.Flatten(1)).eval()

    folded = features()
    fold_norms(folded)
    transform = getattr(torchvision.models, ARCHITECTURES[name].weights_enum).DEFAULT.transforms()
    return Peer(
        name,
        load_backbone(name, file, allow_hub=False),
        features(),
        folded.to(memory_format=torch.channels_last),
        transform,
    )


def run_ours(peer: Peer, scans: Sequence[Path], threads: int) -> None:
    """Files to vectors, our way."""
    done = sum(
        len(batch.positions) for batch in embed_files(peer.backbone, [(s, None) for s in scans], threads=threads)
    )
    if done != len(scans):
        raise RuntimeError(f"only {done} of {len(scans)} scans were embedded")


def run_loop(peer: Peer, scans: Sequence[Path], threads: int) -> None:
    """Files to vectors, as the examples of torchvision do it."""
    import torch

    set_threads(threads)
    for start in range(0, len(scans), LOOP_BATCH):
        ready = []
        for scan in scans[start : start + LOOP_BATCH]:
            with Image.open(scan) as image:
                ready.append(peer.transform(image.convert("RGB")))
        with torch.inference_mode():
            torch.nn.functional.normalize(peer.plain(torch.stack(ready)), dim=1).numpy()


def run_limit(peer: Peer, scans: Sequence[Path], threads: int) -> None:
    """As many forward passes of the folded network, on one ready batch a thread, each thread on its own."""
    import torch

    set_threads(1)
    side = ARCHITECTURES[peer.name].preprocessing.side
    ready = torch.randn(OUR_BATCH, 3, side, side).to(memory_format=torch.channels_last)

    def forward(size: int) -> None:
        with torch.inference_mode():
            peer.folded(ready[:size])

    sizes = [min(OUR_BATCH, len(scans) - start) for start in range(0, len(scans), OUR_BATCH)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(forward, sizes))


WAYS: Mapping[str, Callable[[Peer, Sequence[Path], int], None]] = {OURS: run_ours, LOOP: run_loop, LIMIT: run_limit}


def measure(data: Path, networks: Sequence[str], number: int, threads: int, rounds: int) -> list[dict[str, Any]]:
    """One row a network: its speeds by each way, and the two ratios."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        scans = make_scans(data, Path(place), number)
        for name in networks:
            network = peer(name, data / "weights", Path(place))
            own = scans[: max(number // HEAVY_SHARE, 2 * OUR_BATCH)] if name == HEAVY else scans
            speeds = timed(network, own, threads, rounds)
            ratios = {"times": speeds[OURS] / speeds[LOOP], "share": speeds[OURS] / speeds[LIMIT]}
            rows.append({"network": name, "scans": len(own), **speeds, **ratios})
    return rows


def timed(network: Peer, scans: Sequence[Path], threads: int, rounds: int) -> dict[str, float]:
    """By each way the median pictures a second, and under `<way> ms` the median processor time of a picture."""
    for run in WAYS.values():
        run(network, scans[:OUR_BATCH], threads)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    used: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, run in WAYS.items():
            before, busy = time.perf_counter(), time.process_time()
            run(network, scans, threads)
            seconds[way].append((time.perf_counter() - before) / len(scans))
            used[way].append((time.process_time() - busy) / len(scans))
    return {way: 1 / median(found) for way, found in seconds.items()} | {
        f"{way} ms": 1e3 * median(found) for way, found in used.items()
    }


def table(rows: Sequence[Mapping[str, Any]], threads: int) -> str:
    """The rows as Markdown, and what missed its goal."""
    head = ["network", "scans", "ours", "torchvision loop", "forward pass alone", "times the loop", "of the limit"]
    head += ["processor ms a picture: ours", "loop", "forward pass"]
    body = []
    for row in rows:
        speeds = [f"{row[way]:.1f}" for way in WAYS]
        used = [f"{row[f'{way} ms']:.1f}" for way in WAYS]
        body.append([row["network"], row["scans"], *speeds, f"{row['times']:.2f}", f"{row['share']:.0%}", *used])
    lines = [f"{machine_and_day()} {threads} threads each. Pictures a second.", "", markdown(head, body)]
    return "\n".join([*lines, "", "\n".join(misses(rows)) or "All goals are met."])


def misses(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each goal that was missed."""
    said = []
    for row in rows:
        if row["times"] < TIMES_THE_LOOP:
            said.append(f"- MISS: {row['network']}: {row['times']:.2f} times the loop, goal {TIMES_THE_LOOP}.")
        if row["share"] < SHARE_OF_LIMIT:
            said.append(f"- MISS: {row['network']}: {row['share']:.0%} of the limit, goal {SHARE_OF_LIMIT:.0%}.")
    return said


def main() -> int:
    """Measure and print. Exit code 1 if we are slower than the loop on any network."""
    parser = options(__doc__, as_json=True)
    parser.add_argument("--scans", type=int, default=200)
    parser.add_argument("--threads", type=int, default=min(os.cpu_count() or 1, 2))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    # Waiting threads of torch would else burn the processor on a busy machine: it is the loop that gains from this.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments, data = opened(parser)
    rows = measure(data, arguments.networks, arguments.scans, arguments.threads, arguments.rounds)
    text = table(rows, arguments.threads)
    print(json.dumps(rows, indent=1) if arguments.json else text)
    if arguments.write:
        write_section("embedding", text, "From files to vectors", INTRODUCTION)
    held = all(row["times"] >= 1 for row in rows)
    print("faster than the loop" if held else "THE LOOP IS FASTER", file=sys.stderr)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
