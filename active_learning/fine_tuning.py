"""Fine-tuning a torchvision network on verified figures, in one process or in several that torchrun starts.

All happens in a folder that `prepare` makes (see `tuning_files`). After each epoch a checkpoint is written whole or not
at all, so that a run that was killed, or that torchrun starts again with fewer processes, goes on where it was.
`install` puts the features into a weights folder under a name of their own, with a record of what they have seen beside
them: whoever measures such a network leaves those figures out (`seen_by`).

Run it as `python -m active_learning.fine_tuning FOLDER`, or through torchrun
(pytorch.org/docs/stable/elastic/run.html). It keeps safetensors and JSON only, no pickle.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from active_learning.backbones import set_threads
from active_learning.errors import ArtifactError, LearningError
from active_learning.images import open_figure, to_square
from active_learning.splitting import in_holdout
from active_learning.torch_networks import Preprocessing
from active_learning.tuning_files import (
    CHECKPOINT,
    START,
    TUNED_RECORD,
    TUNED_WEIGHTS,
    Plan,
    network_of,
    read_plan,
    write_json,
    write_tensors,
)
from active_learning.weights import load_into, read_state

if TYPE_CHECKING:
    import torch

SCALE = 16.0
"""How far apart the new layer's answers can lie: its inputs have length 1, its first weights this one."""
WARM_UP = 0.1
"""The share of all steps in which the learning rates rise to their full height."""


@dataclass(frozen=True)
class _Place:
    """Which of how many processes this is, and where it computes."""

    rank: int
    world: int
    device: torch.device


# Pictures


def varied(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The same figure as another print might show it, (side, side, 3) uint8: mirrored, a little turned, otherwise
    coloured by hand, or not coloured at all."""
    image = Image.fromarray(pixels)
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    paper = tuple(int(one) for one in np.median(pixels[[0, -1]].reshape(-1, 3), axis=0))
    image = image.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR, fillcolor=paper)
    if rng.random() < 0.15:
        image = ImageOps.grayscale(image).convert("RGB")
    elif rng.random() < 0.8:
        image = ImageEnhance.Color(image).enhance(rng.uniform(0.6, 1.4))
        image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.8, 1.2))
        image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.8, 1.2))
        tint = rng.uniform(0.92, 1.08, 3)
        return np.clip(np.asarray(image) * tint, 0, 255).astype(np.uint8)
    return np.asarray(image, dtype=np.uint8)


@dataclass(frozen=True)
class _Pictures:
    """Figures as a loader of torch takes them: pixels (3, side, side) uint8, class, and place among the rows.

    With an epoch each picture is varied, by its place in the epoch: so it does not matter which process reads it.
    """

    plan: Plan
    rows: Sequence[int]
    codes: NDArray[np.int64]
    epoch: int | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int, int]:
        import torch

        row, wanted = self.rows[place], self.plan.preprocessing
        figure = self.plan.figures[row]
        pixels = to_square(open_figure(figure.path, figure.box), wanted.side, wanted.resample)
        if self.epoch is not None:
            pixels = varied(pixels, np.random.default_rng((self.plan.config.seed, self.epoch, place)))
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), int(self.codes[row]), place


def _loader(pictures: _Pictures, sampler: Any, batch: int, place: _Place, threads: int) -> Any:
    from torch.utils.data import DataLoader

    # On a processor the network is the slow part; before a graphics processor, reading is.
    readers = threads if place.device.type == "cuda" else 0
    return DataLoader(pictures, batch_size=batch, sampler=sampler, num_workers=readers)  # type: ignore[arg-type]


def _split(plan: Plan) -> tuple[list[int], list[int]]:
    """Rows to learn from, and rows that only tell how far it is; no class is lost by that."""
    held = [in_holdout(one.group, plan.config.check_share, plan.config.seed + 1) for one in plan.figures]
    learnable = {one.label for one, is_held in zip(plan.figures, held, strict=True) if not is_held}
    pairs = list(zip(plan.figures, held, strict=True))
    needed = {one.group for one, is_held in pairs if is_held and one.label not in learnable}
    check = [row for row, one in enumerate(plan.figures) if held[row] and one.group not in needed]
    return sorted(set(range(len(plan.figures))) - set(check)), check


def _drawn(learned: Sequence[int], codes: NDArray[np.int64], plan: Plan, n: int, epoch: int) -> list[int]:
    """The rows (n,) of one epoch: rare classes more often than they are, by `balance`."""
    own = codes[list(learned)]
    chance = np.bincount(own)[own].astype(np.float64) ** -plan.config.balance
    rng = np.random.default_rng((plan.config.seed, epoch))
    return [int(row) for row in rng.choice(np.asarray(learned), n, p=chance / chance.sum())]


# The network


def _scaled(pixels: torch.Tensor, wanted: Preprocessing, device: torch.device) -> torch.Tensor:
    import torch

    mean, std = (torch.tensor(one, device=device).view(1, 3, 1, 1) for one in (wanted.mean, wanted.std))
    scaled = pixels.to(device).float().div_(255.0).sub_(mean).div_(std)
    return scaled.contiguous(memory_format=torch.channels_last)


class _Tuning:
    """One process's part of a tuning: the network, its optimizer, and what was measured after each epoch."""

    def __init__(self, plan: Plan, place: _Place, threads: int) -> None:
        import torch

        self.plan, self.place, self.threads = plan, place, threads
        self.classes = sorted({one.label for one in plan.figures})
        of_class = {label: code for code, label in enumerate(self.classes)}
        self.codes = np.array([of_class[one.label] for one in plan.figures], dtype=np.int64)
        self.learned, self.check = _split(plan)
        counts = np.bincount(self.codes[self.learned], minlength=len(self.classes)).astype(np.float64)
        share = counts ** (1.0 - plan.config.balance)
        # The answers are read as if all classes were as frequent: what drawing leaves of the difference is added to
        # them while learning (logit adjustment: Menon et al., ICLR 2021, equation 10).
        self.prior = torch.from_numpy(np.log(share / share.sum())).float().to(place.device)
        state = read_state(plan.folder / START)
        self.network = network_of(plan.architecture, state, len(self.classes)).to(place.device)
        self.network.to(memory_format=torch.channels_last)
        config = plan.config
        self.rates = (config.feature_rate, config.head_rate)
        parts = (self.network.features, self.network.head)
        groups = [{"params": list(part.parameters()), "lr": rate} for part, rate in zip(parts, self.rates, strict=True)]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
        self.history: list[dict[str, float]] = []
        if not self._take_up():
            self._begin_head()
            self.history.append({"epoch": 0, **self._checked()})
        self.wrapped = self.network
        if place.world > 1:
            from torch.nn.parallel import DistributedDataParallel

            self.wrapped = DistributedDataParallel(self.network)

    def run(self, on_epoch: Callable[[Mapping[str, float]], None]) -> None:
        """All epochs that are still to do, each kept when it is done, and at the end the result."""
        for epoch in range(len(self.history), self.plan.config.epochs + 1):
            loss = self._epoch(epoch)
            self.history.append({"epoch": epoch, "loss": loss, **self._checked()})
            if self.place.rank == 0:
                self._keep(epoch)
                on_epoch(self.history[-1])
            self._wait()
        if self.place.rank == 0:
            self._finish()
        self._wait()

    def _begin_head(self) -> None:
        """Each class begins as the mean of its vectors: a head that already answers does not pull the features about
        at random in the first steps (Kumar et al., ICLR 2022)."""
        import torch

        sums = torch.zeros(self.network.head.weight.shape, dtype=torch.float64, device=self.place.device)
        with torch.no_grad():
            for pixels, codes, _ in self._in_parts(self.learned):
                vectors = self.network.unit(_scaled(pixels, self.plan.preprocessing, self.place.device))
                sums.index_add_(0, codes.to(self.place.device), vectors.double())
            self._add_up(sums)
            self.network.head.weight.copy_(SCALE * torch.nn.functional.normalize(sums, dim=1))

    def _in_parts(self, rows: Sequence[int]) -> Any:
        """This process's share of the rows, unchanged. No process waits for another here, so nothing is read twice."""
        mine = range(self.place.rank, len(rows), self.place.world)
        pictures = _Pictures(self.plan, rows, self.codes)
        return _loader(pictures, mine, self._batch(), self.place, self.threads)

    def _batch(self) -> int:
        """Figures a step of this process."""
        return math.ceil(self.plan.config.batch / self.place.world)

    def _epoch(self, epoch: int) -> float:
        """One epoch; returns its mean loss over all processes."""
        import torch
        from torch.utils.data import DistributedSampler

        own, world, config = self._batch(), self.place.world, self.plan.config
        steps = math.ceil(len(self.learned) / (own * world))
        # As many are drawn as fill all steps of all processes: a sampler that had to pad would count some twice.
        rows = _drawn(self.learned, self.codes, self.plan, steps * own * world, epoch)
        pictures = _Pictures(self.plan, rows, self.codes, epoch)
        sampler: Any = DistributedSampler(pictures, world, self.place.rank, shuffle=False)  # type: ignore[arg-type]
        total = torch.zeros(1, dtype=torch.float64, device=self.place.device)
        for step, (pixels, codes, _) in enumerate(_loader(pictures, sampler, own, self.place, self.threads)):
            height = _rate((epoch - 1) * steps + step, config.epochs * steps)
            for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate * height
            answers = self.wrapped(_scaled(pixels, self.plan.preprocessing, self.place.device)) + self.prior
            loss = torch.nn.functional.cross_entropy(answers, codes.to(self.place.device))
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += loss.detach()
        self._add_up(total)
        return float(total) / (steps * world)

    def _checked(self) -> dict[str, float]:
        """Balanced accuracy on the figures that are not learned from; nothing where there are none."""
        import torch

        if not self.check:
            return {}
        hits = torch.zeros(len(self.check), dtype=torch.float64, device=self.place.device)
        with torch.no_grad():
            for pixels, codes, places in self._in_parts(self.check):
                answers = self.network(_scaled(pixels, self.plan.preprocessing, self.place.device))
                right = answers.argmax(dim=1) == codes.to(self.place.device)
                hits[places.to(self.place.device)] = right.double()
        self._add_up(hits)
        of_class: dict[int, list[float]] = defaultdict(list)
        for code, hit in zip(self.codes[self.check].tolist(), hits.tolist(), strict=True):
            of_class[code].append(hit)
        return {"right": float(np.mean([np.mean(own) for own in of_class.values()]))}

    def _add_up(self, numbers: torch.Tensor) -> None:
        if self.place.world > 1:
            import torch.distributed as dist

            dist.all_reduce(numbers)

    def _wait(self) -> None:
        if self.place.world > 1:
            import torch.distributed as dist

            dist.barrier()

    def _keep(self, epoch: int) -> None:
        """Write weights and optimizer, then the small file that names them; what came before is removed after that."""
        tensors = {f"network.{key}": value for key, value in self.network.state_dict().items()}
        for number, own in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{key}": value for key, value in own.items()}
        file = f"epoch-{epoch:04d}.safetensors"
        write_tensors(self.plan.folder / file, tensors)
        told = {"key": self.plan.key, "epoch": epoch, "file": file, "history": self.history}
        write_json(self.plan.folder / CHECKPOINT, told)
        for old in self.plan.folder.glob("epoch-*.safetensors"):
            if old.name != file:
                old.unlink(missing_ok=True)

    def _take_up(self) -> bool:
        """Go on where an earlier run was; False if there was none. Raises ArtifactError for a damaged checkpoint."""
        checkpoint = self.plan.folder / CHECKPOINT
        if not checkpoint.is_file():
            return False
        try:
            told = json.loads(checkpoint.read_text("utf-8"))
            tensors = read_state(self.plan.folder / told["file"])
            if told["key"] != self.plan.key:
                raise ArtifactError(f"The checkpoint in {self.plan.folder.name} is of another tuning.")
            history = list(told["history"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"The checkpoint in {self.plan.folder.name} cannot be read ({error}).") from error
        network = {key.removeprefix("network."): one for key, one in tensors.items() if key.startswith("network.")}
        load_into(self.network, network, self.plan.backbone)
        state: dict[int, dict[str, torch.Tensor]] = defaultdict(dict)
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, number, what = key.split(".")
                state[int(number)][what] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": dict(state), "param_groups": groups})
        self.history = history
        return True

    def _finish(self) -> None:
        plan = self.plan
        write_tensors(plan.folder / TUNED_WEIGHTS, self.network.features.state_dict())
        record = {
            "from": plan.backbone,
            **plan.hashes,
            "config": dataclasses.asdict(plan.config),
            "figures": len(plan.figures),
            "classes": dict(sorted(Counter(one.label for one in plan.figures).items())),
            "history": self.history,
            **plan.seen.to_dict(),
        }
        write_json(plan.folder / TUNED_RECORD, record)


def _rate(step: int, steps: int) -> float:
    """The share of the full learning rate at this step: up in a line, then down in half a cosine."""
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


@contextmanager
def _place(device: str) -> Iterator[_Place]:
    """This process among those that torchrun started; alone where it did not."""
    import torch
    import torch.distributed as dist

    graphics = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if not dist.is_torchelastic_launched():
        yield _Place(0, 1, torch.device("cuda" if graphics else "cpu"))
        return
    if graphics:
        torch.cuda.set_device(dist.get_node_local_rank())
    dist.init_process_group("nccl" if graphics else "gloo")
    try:
        own = torch.device("cuda", torch.cuda.current_device()) if graphics else torch.device("cpu")
        yield _Place(dist.get_rank(), dist.get_world_size(), own)
    finally:
        dist.destroy_process_group()


def tune(
    folder: Path,
    *,
    threads: int = 1,
    device: str = "auto",
    on_epoch: Callable[[Mapping[str, float]], None] = lambda told: None,
) -> None:
    """Carry a prepared tuning out, or to its end where it was broken off; then `install` takes the result.

    `on_epoch` hears after each epoch its number (`epoch`, from 1), the mean `loss`, and, where groups were laid aside,
    the balanced accuracy `right` on them. `threads` is how many this process computes with; `device` is `cpu`, `cuda`
    or `auto`. Begun anew or taken up, the same folder gives the same weights with the same number of processes; with
    another that divides the figures of a step they differ by rounding, which grows from step to step.

    Raises ArtifactError if the folder is not whole, ImageError if an image cannot be read.
    """
    set_threads(threads)
    with _place(device) as place:
        _Tuning(read_plan(folder), place, threads).run(on_epoch)


def _tell(told: Mapping[str, float]) -> None:
    sys.stdout.write(json.dumps(dict(told)) + "\n")
    sys.stdout.flush()


def main(arguments: Collection[str] | None = None) -> int:
    """Tune in a folder from the command line, alone or under torchrun; a line an epoch. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="active_learning.fine_tuning", description="Fine-tune a network.")
    parser.add_argument("folder", type=Path, help="what `prepare` made")
    parser.add_argument("--threads", type=int, default=1, help="how many each process computes with")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    asked = parser.parse_args(None if arguments is None else list(arguments))
    try:
        tune(
            asked.folder,
            threads=asked.threads,
            device=asked.device,
            on_epoch=_tell,
        )
    except LearningError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
