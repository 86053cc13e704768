"""Commands of the learning loop: embed, train, predict; and its use: similar, identify."""

from pathlib import Path
from typing import Annotated

import typer

from icones.commands.surroundings import CAMPAIGN, JSON, campaign_of, carry_out, opened, tell
from icones.errors import NotFoundError, NotReadyError
from icones.illustrations import queries as illustrations
from icones.jobs.identify import identify_image
from icones.learning import queries as learning
from icones.learning.similar import SimilarFigures
from icones.models import JobKind
from icones.taxa import service as taxa


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (embed, train, predict, similar, identify):
        app.command()(command)


def embed(slug: Annotated[str, CAMPAIGN], as_json: Annotated[bool, JSON] = False) -> None:
    """Let the network look at the figures it has yet to see."""
    with opened() as (settings, database):
        run = carry_out(settings, database, campaign_of(database, slug), JobKind.EMBED, as_json)
    tell(run.result, as_json, f"{run.result['embedded']} figures embedded.")


def train(slug: Annotated[str, CAMPAIGN], as_json: Annotated[bool, JSON] = False) -> None:
    """Train on what is known and publish the new model if it is better; the scheduled job does the same."""
    with opened() as (settings, database):
        run = carry_out(settings, database, campaign_of(database, slug), JobKind.RETRAIN, as_json)
    result = run.result
    what = f"Model version {result['version']} " if "version" in result else "No model: "
    outcome = "is published. " if result["published"] else "is not published. " if "version" in result else ""
    tell(result, as_json, what + outcome + result["why"])


def predict(slug: Annotated[str, CAMPAIGN], as_json: Annotated[bool, JSON] = False) -> None:
    """Predict every figure with the serving model and set whom to ask what."""
    with opened() as (settings, database):
        run = carry_out(settings, database, campaign_of(database, slug), JobKind.PREDICT, as_json)
    tell(run.result, as_json, f"{run.result['predicted']} figures looked at.")


def similar(
    figure_id: Annotated[int, typer.Argument(help="The figure's number, as its page shows it.")],
    k: Annotated[int, typer.Option(help="How many.")] = 8,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """List the figures that look most like one."""
    with opened() as (settings, database), database.reading() as session:
        found = illustrations.figure(session, figure_id)
        if found is None:
            raise NotFoundError(f"There is no figure {figure_id}.")
        hits = SimilarFigures(settings.data_dir / "index").search(session, found[2], figure_id, k)
        if not hits:
            raise NotReadyError("This figure has not been embedded yet: icones embed " + found[2].slug)
        rows = illustrations.with_figures(session, [key for key, _ in hits])
    result = [{"figure": key, "likeness": round(cosine, 4), "title": rows[key][1].title} for key, cosine in hits]
    lines = "\n".join(f"{row['likeness']:.3f}  {row['figure']:6}  {row['title']}" for row in result)
    tell({"figure": figure_id, "similar": result}, as_json, lines)


def identify(
    slug: Annotated[str, CAMPAIGN],
    image: Annotated[Path, typer.Argument(help="An image file.")],
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Say what a campaign's model takes an image for."""
    with opened() as (settings, database):
        own = campaign_of(database, slug)
        with database.reading() as session:
            champion = learning.champion(session, own.id or 0)
            if champion is None:
                raise NotReadyError(f"“{slug}” has no model yet: icones train {slug}")
            ranked = identify_image(settings, own, champion, image)
            names = taxa.views(session, [qid for qid, _ in ranked], "en")
    result = [
        {"qid": qid, "name": names[qid].scientific_name, "probability": round(chance, 4)}
        for qid, chance in ranked
        if qid in names
    ]
    lines = "\n".join(f"{row['probability']:.3f}  {row['name']}  ({row['qid']})" for row in result)
    tell({"model": champion.number, "taxa": result}, as_json, lines)
