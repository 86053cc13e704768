"""Commands of the learning loop: embed, train, predict; and its use: similar, identify."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from icones.campaigns import queries as campaigns
from icones.clock import utc_now
from icones.commands.surroundings import CAMPAIGN, JSON, campaign_of, carry_out, opened, tell
from icones.config import Settings
from icones.errors import BadInputError, NotFoundError, NotReadyError
from icones.illustrations import queries as illustrations
from icones.jobs.identify import embed_image, identify_image, require_model
from icones.learning.similar import EVERYWHERE, Asked, Narrowed, SimilarFigures, comparable
from icones.models import Campaign, DeterminationState, JobKind
from icones.taxa import service as taxa


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (embed, choose, train, predict, similar, identify):
        app.command()(command)


def embed(slug: Annotated[str, CAMPAIGN], as_json: Annotated[bool, JSON] = False) -> None:
    """Let the network look at the figures it has yet to see."""
    with opened() as (settings, database):
        run = carry_out(settings, database, campaign_of(database, slug), JobKind.EMBED, as_json)
    tell(run.result, as_json, f"{run.result['embedded']} figures embedded.")


def choose(slug: Annotated[str, CAMPAIGN], as_json: Annotated[bool, JSON] = False) -> None:
    """Compare the networks at hand on the campaign's own verified figures, and take a better one."""
    with opened() as (settings, database):
        run = carry_out(settings, database, campaign_of(database, slug), JobKind.CHOOSE, as_json)
    result = run.result
    refused = [f"{name} was not tried: {why}" for name, why in result["refused"].items()]
    follows = [f"Training was asked for: icones train {slug} does it now."] if result["training"] else []
    tell(result, as_json, "\n".join([result["why"], *refused, *follows]))


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
    what: Annotated[str, typer.Argument(help="A figure's number, as its page shows it, or an image file.")],
    slug: Annotated[str, typer.Option("--campaign", help="Where to look: its short name, or * for everywhere.")] = "",
    taxon: Annotated[str, typer.Option(help="Only what is named as this taxon or below: a Q-id or a name.")] = "",
    state: Annotated[list[DeterminationState] | None, typer.Option(help="Only figures in this state.")] = None,
    k: Annotated[int, typer.Option(min=1, help="How many.")] = 8,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """List the figures that look most like a figure or an image."""
    with opened() as (settings, database), database.reading() as session:
        index = SimilarFigures(settings.data_dir / "index", settings.threads)
        asked, by = _asked(settings, session, index, what, slug)
        hits = index.like(session, asked, k, Narrowed(_taxon(session, taxon), frozenset(state or ())))
        rows = illustrations.with_figures(session, [key for key, _ in hits])
    result = [{"figure": key, "likeness": round(cosine, 4), "title": rows[key][1].title} for key, cosine in hits]
    lines = "\n".join(f"{row['likeness']:.3f}  {row['figure']:6}  {row['title']}" for row in result)
    tell(by | {"similar": result}, as_json, lines or "No figure fits.")


def _asked(
    settings: Settings, session: Session, index: SimilarFigures, what: str, slug: str
) -> tuple[Asked, dict[str, Any]]:
    """Return the question, and what was asked about for the answer. The command line sees every campaign."""
    by: dict[str, Any]
    if what.isdigit():
        found = illustrations.figure(session, int(what))
        if found is None:
            raise NotFoundError(f"There is no figure {what}.")
        own, by = found[2], {"figure": int(what)}
        asked = index.asked(session, own, int(what))
        if asked is None:
            raise NotReadyError("This figure has not been embedded yet: icones embed " + own.slug)
    else:
        if not Path(what).is_file():
            raise NotFoundError(f"There is no file {what}, and it is no figure's number.")
        if slug in ("", EVERYWHERE):
            raise BadInputError("Name the campaign to look in: --campaign SHORT-NAME")
        own, by = _campaign(session, slug), {"image": what}
        backbone = index.require_backbone(session, own)
        asked = Asked(embed_image(settings, backbone, Path(what)), backbone, (own,))
    if slug == EVERYWHERE:
        return asked.among(comparable(session, campaigns.visible(session, None, True), asked.backbone)), by
    return asked.among((_campaign(session, slug) if slug else own,)), by


def _campaign(session: Session, slug: str) -> Campaign:
    found = campaigns.by_slug(session, slug)
    if found is None:
        raise NotFoundError(f"There is no campaign “{slug}”.")
    return found


def _taxon(session: Session, words: str) -> str | None:
    if not words:
        return None
    found = taxa.find(session, words)
    if found is None:
        raise NotFoundError(f"“{words}” is not the name of one taxon here.")
    return found


def identify(
    image: Annotated[Path, typer.Argument(help="An image file.")],
    slug: Annotated[str, typer.Option("--campaign", help="Whose model shall look at it: the campaign's short name.")],
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Say what a campaign's model takes an image for, how sure it is, and what looks like it."""
    from icones.web.api.identify import identified_out  # not before it is asked for: commands shall start quickly

    with opened() as (settings, database):
        own = campaign_of(database, slug)
        if not image.is_file():
            raise NotFoundError(f"There is no file {image}.")
        version = require_model(database, own)
        seen = identify_image(settings, database, version, image, utc_now())
        index = SimilarFigures(settings.data_dir / "index", settings.threads)
        with database.reading() as session:
            result = identified_out(session, index, own, version, seen, "en").model_dump(mode="json")
    tell(result, as_json, "\n".join(_in_words(result)))


def _in_words(result: dict[str, Any]) -> Iterator[str]:
    """Yield what a model says of an image, line by line; ``result`` is what the API gives."""
    said, claim, may_be = result["prediction"], result["prediction"]["claim"], result["prediction"]["plausible"]
    best = said["best"]
    if said["verdict"] == "far":
        yield f"Too unlike anything this model has learned: probably none of its {result['n_taxa']} taxa."
    elif said["verdict"] == "near" and best:
        yield f"Perhaps a relative of {best[0]['taxon']['scientific_name']} that is not in its list."
    elif claim:
        worth = f" Of such statements {claim['right']:.0%} are right." if claim["right"] is not None else ""
        yield f"Pretty sure: {claim['taxon']['scientific_name']} ({claim['taxon']['rank']}).{worth}"
    else:
        yield "It cannot promise that the best guess is right."
    yield from (f"{one['probability']:.3f}  {one['taxon']['scientific_name']}  ({one['taxon']['qid']})" for one in best)
    if may_be and said["verdict"] not in ("near", "far"):
        names = ", ".join(one["scientific_name"] for one in may_be["taxa"])
        where = f": {names}" if may_be["is_list"] else f" within {names}" if names else ""
        yield f"Nine times in ten it is one of {may_be['n']}{where}."
    measured = (
        f", right at the first guess {result['accuracy']:.0%} of the time" if result["accuracy"] is not None else ""
    )
    yield f"Model version {said['model_number']}{measured}. It may be wrong."
