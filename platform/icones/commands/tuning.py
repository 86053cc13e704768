"""The command that fine-tunes a network on a campaign's verified figures, for the ordinary comparison to judge."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from active_learning import ArtifactError, LearningError, in_holdout
from active_learning.tuning_files import TUNED_RECORD, TuningConfig, TuningFigure, held, install, prepare
from icones.commands.surroundings import CAMPAIGN, JSON, campaign_of, console, opened, tell
from icones.config import Settings
from icones.db import Database
from icones.errors import BadInputError, ConflictError, IconesError, NotReadyError
from icones.illustrations.store import ImageStore
from icones.jobs.embedding import backbone_of
from icones.learning import labels
from icones.models import Campaign

RESTARTS = 3
"""So often torchrun starts its processes again after one has died; they go on after the last whole epoch."""
CALLED = 24
"""So many letters of a campaign's short name go into the name of its network."""


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(tune)


def tune(
    slug: Annotated[str, CAMPAIGN],
    epochs: Annotated[int, typer.Option(min=1, help="How often it goes through all figures.")] = TuningConfig.epochs,
    workers: Annotated[int, typer.Option(min=1, help="How many processes share the work, one a graphics card.")] = 1,
    backbone: Annotated[str, typer.Option(help="The network to begin with; the campaign's own if empty.")] = "",
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Fine-tune a network on a campaign's verified figures; choose then tells whether it is worth taking."""
    with opened() as (settings, database):
        campaign = campaign_of(database, slug)
        if settings.weights_dir is None:
            raise NotReadyError("A tuned network needs a folder to lie in: set ICONES_WEIGHTS_DIR.")
        figures = to_learn_from(settings, database, campaign)
        asked = TuningConfig(epochs=epochs, seed=campaign.seed)
        begin = backbone or campaign.backbone or settings.backbone
        try:
            folder = prepare(settings.data_dir / "tuning", begin, figures, settings.weights_dir, asked)
        except (LearningError, ValueError) as error:
            raise BadInputError(str(error)) from error
        try:
            with held(folder) as lock:
                _carry_out(settings, folder, workers, lambda told: _say(told, epochs, as_json), lock)
                history = json.loads((folder / TUNED_RECORD).read_text("utf-8"))["history"]
                name = install(folder, settings.weights_dir, slug[:CALLED])
        except ArtifactError as error:
            raise ConflictError(str(error)) from error
    result = {"backbone": name, "from": begin, "figures": len(figures), "history": history}
    follows = f"icones choose {slug} compares it with the others on figures it has not seen."
    tell(result, as_json, f"{name} was tuned on {len(figures)} figures. {follows}")


def to_learn_from(settings: Settings, database: Database, campaign: Campaign) -> list[TuningFigure]:
    """Return a campaign's own verified figures outside the frozen holdout, whose images are at hand.

    They are grouped as training groups them, so that nothing that a model is measured on is learned from. Names above
    another name are left out: a network learns to tell leaves apart.
    """
    store = ImageStore(settings.data_dir / "images")
    version = backbone_of(settings, campaign, lambda words: console.print(words, markup=False)).version
    with database.reading() as session:
        gathered = labels.gather(session, campaign, version)
    verified = [row for row in gathered.record if row["origin"] == labels.VERIFIED and row["campaign"] == campaign.slug]
    above = {node for row in verified for node in gathered.taxonomy.lineage(row["taxon"])[1:]}
    found = []
    for row in verified:
        if row["taxon"] in above or in_holdout(row["group"], campaign.holdout_fraction, campaign.seed):
            continue
        image, _, box = row["source"].partition(" ")
        if store.has(image):
            found.append(TuningFigure(store.path(image), None if box == "whole" else box, row["taxon"], row["group"]))
    return found


def _say(told: dict[str, Any], epochs: int, as_json: bool) -> None:
    """Tell how an epoch went, to people only."""
    if as_json:
        return
    right = f", right on {told['right']:.1%} of what it does not learn from" if "right" in told else ""
    console.print(f"Epoch {told['epoch']} of {epochs}: loss {told['loss']:.3f}{right}")


def _carry_out(
    settings: Settings, folder: Path, workers: int, on_epoch: Callable[[dict[str, Any]], None], lock: int
) -> None:
    """Tune in child processes, several through torchrun; raises IconesError with their last words if they failed.

    They keep the folder's lock for as long as they live: if this process is killed, they end with the epoch.
    """
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={workers}"]
    entry = ["-m", "active_learning.fine_tuning", str(folder), "--threads", str(max(1, settings.threads // workers))]
    launcher = [*torchrun, f"--max-restarts={RESTARTS}"] if workers > 1 else []
    # Else torchrun keeps the addresses of processes that died, and those it starts again look for them in vain.
    environment = settings.as_environment() | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    command, said = [sys.executable, *launcher, *entry], folder / "tuning.log"
    with (
        said.open("w", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603 (our own program)
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, pass_fds=(lock,)
        ) as child,
    ):
        for line in child.stdout or ():
            if line.startswith("{"):  # torchrun may have its say in between
                on_epoch(json.loads(line))
    if child.returncode != 0:
        details = said.read_text("utf-8").strip().splitlines()[-5:]
        raise IconesError("The tuning ended before it was done; asked again, it goes on where it was.", details=details)
