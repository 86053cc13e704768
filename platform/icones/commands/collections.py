"""Commands for curators: make campaigns, bring illustrations in, take exports home."""

from pathlib import Path
from typing import Annotated

import typer

from icones.campaigns import queries as campaign_queries
from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.commands.surroundings import CAMPAIGN, JSON, campaign_of, carry_out, opened, tell
from icones.errors import BadInputError
from icones.exports import service as exports
from icones.illustrations.store import ImageStore
from icones.jobs.folder import listed_of, read_source, resolve_names
from icones.jobs.sync import import_folder
from icones.models import DeterminationState, JobKind, SourceKind, Visibility

campaign = typer.Typer(help="Make and list campaigns.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(campaign, name="campaign")
    app.command()(sync)
    app.command("import")(import_)
    app.command()(export)


@campaign.command()
def create(
    title: Annotated[str, typer.Argument(help="What people read, for example “De Boodt's drawings”.")],
    category: Annotated[str, typer.Option(help="The category on Wikimedia Commons.")] = "",
    depth: Annotated[int, typer.Option(help="How many levels of subcategories to follow, 0 to 5.")] = 0,
    slug: Annotated[str, typer.Option(help="The short name for addresses; made from the title if left out.")] = "",
    collection: Annotated[str, typer.Option(help="The collection it belongs to.")] = "",
    description: Annotated[str, typer.Option(help="A few sentences for volunteers.")] = "",
    visibility: Annotated[Visibility, typer.Option(help="Who may see it.")] = Visibility.PUBLIC,
    backbone: Annotated[str, typer.Option(help="The network for this kind of organism; default: the setting.")] = "",
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Make a campaign, from a Commons category or (without --category) for a folder to import."""
    new = campaigns.NewCampaign(
        title=title,
        source_kind=SourceKind.CATEGORY if category else SourceKind.FOLDER,
        source=category,
        source_depth=depth,
        slug=slug,
        collection=collection,
        description=description,
        visibility=visibility,
        backbone=backbone,
    )
    with opened() as (_, database), database.writing() as session:
        made = campaigns.create(session, None, new, utc_now())
    todo = f"icones sync {made.slug}" if category else f"icones import {made.slug} FOLDER"
    tell({"slug": made.slug, "title": made.title}, as_json, f"Made “{made.title}”. Next: {todo}")


@campaign.command("list")
def list_(as_json: Annotated[bool, JSON] = False) -> None:
    """List the campaigns with their progress."""
    with opened() as (_, database), database.reading() as session:
        rows = []
        for one in campaign_queries.visible(session, None, everything=True):
            progress = campaigns.progress(session, one)
            verified = progress.of(DeterminationState.VERIFIED)
            rows.append({"slug": one.slug, "title": one.title, "figures": progress.total, "verified": verified})
    if as_json:
        tell({"campaigns": rows}, True, "")
    elif not rows:
        typer.echo("There is no campaign yet. Make one: icones campaign create --help")
    else:
        for row in rows:
            typer.echo(f"{row['slug']:30} {row['verified']:6} of {row['figures']:6} verified   {row['title']}")


def sync(slug: Annotated[str, CAMPAIGN], as_json: Annotated[bool, JSON] = False) -> None:
    """Bring a campaign in line with its Commons category: files, statements, taxa, images."""
    with opened() as (settings, database):
        run = carry_out(settings, database, campaign_of(database, slug), JobKind.SYNC, as_json)
    result = run.result
    words = (
        f"{result['files']} files: {result['new']} new, {result['changed']} changed, {result['gone']} gone. "
        f"{result['images']} images fetched, {result['refused']} refused, {result['later']} left for the next sync."
    )
    tell(result, as_json, words)


def import_(
    slug: Annotated[str, CAMPAIGN],
    folder: Annotated[Path, typer.Argument(help="The folder with the images.")],
    table: Annotated[
        Path | None, typer.Option(help="A CSV or TSV with the columns file, name, object_number, …; see the docs.")
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Take a folder of images in, with a table of names. All problems are told at once, before anything is written."""
    with opened() as (settings, database):
        own = campaign_of(database, slug)
        if own.source_kind is SourceKind.CATEGORY:
            raise BadInputError(
                f"“{slug}” gets its files from Commons. Make a campaign without --category for a folder."
            )
        listing = read_source(folder, table)
        counts = import_folder(database, ImageStore(settings.data_dir / "images"), own, listed_of(listing, folder))
        named = resolve_names(database, own)
    words = (
        f"{counts['files']} images taken in ({counts['new']} new). "
        f"{named['resolved']} of {named['names']} names are known taxa; the others stay as written."
    )
    tell(counts | named, as_json, words)


def export(
    slug: Annotated[str, CAMPAIGN],
    target: Annotated[
        Path | None, typer.Option("--to", help="Where to write the CSV; default: its own name here.")
    ] = None,
    number: Annotated[int, typer.Option(help="Give an earlier export again instead of taking a new one.")] = 0,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Freeze the verified determinations as the next numbered export and write it as CSV."""
    with opened() as (_, database):
        own = campaign_of(database, slug)
        with database.writing() as session:
            made = exports.require(session, own, number) if number else exports.take(session, own, None, utc_now())
        path = target or Path(made.filename)
        partial = path.with_name(path.name + ".part")
        partial.write_bytes(made.content)
        partial.replace(path)
    result = {"number": made.number, "rows": made.n_rows, "sha256": made.sha256, "file": str(path)}
    tell(result, as_json, f"Export {made.number}: {made.n_rows} rows in {path}, SHA-256 {made.sha256}")
