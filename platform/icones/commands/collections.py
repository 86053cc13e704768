"""Commands for curators: make campaigns, bring illustrations in, take exports home."""

from pathlib import Path
from typing import Annotated, Any

import typer

from icones.campaigns import model_settings
from icones.campaigns import queries as campaign_queries
from icones.campaigns import service as campaigns
from icones.campaigns.sources import ON_THE_WIKI, collection_of
from icones.clock import utc_now
from icones.commands.surroundings import CAMPAIGN, JSON, campaign_of, carry_out, opened, tell
from icones.config import Settings
from icones.db import Database
from icones.errors import BadInputError, IconesError, NotFoundError
from icones.exports import service as exports
from icones.illustrations.store import ImageStore
from icones.jobs import runner
from icones.jobs.folder import listed_of, read_source, resolve_names
from icones.jobs.sync import import_folder
from icones.jobs.taxa import ask_for_scope
from icones.models import Campaign, DeterminationState, JobKind, Role, SourceKind, Visibility

campaign = typer.Typer(help="Make and list campaigns.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(campaign, name="campaign")
    app.command()(sync)
    app.command()(taxa)
    app.command("import")(import_)
    app.command()(names)
    app.command()(export)


@campaign.command()
def create(
    title: Annotated[str, typer.Argument(help="What people read, for example “De Boodt's drawings”.")],
    category: Annotated[str, typer.Option(help="The category on Wikimedia Commons.")] = "",
    files: Annotated[
        Path | None, typer.Option(help="A text file with M-ids or titles of files on Commons, one a line.")
    ] = None,
    query: Annotated[
        Path | None, typer.Option(help="A text file with a SPARQL query whose column ?file holds files of Commons.")
    ] = None,
    of_collection: Annotated[str, typer.Option(help="All files of the collection with this Wikidata item.")] = "",
    depth: Annotated[int, typer.Option(help="How many levels of subcategories to follow, 0 to 5.")] = 0,
    slug: Annotated[str, typer.Option(help="The short name for addresses; made from the title if left out.")] = "",
    collection: Annotated[str, typer.Option(help="The collection it belongs to.")] = "",
    description: Annotated[str, typer.Option(help="A few sentences for volunteers.")] = "",
    visibility: Annotated[Visibility, typer.Option(help="Who may see it.")] = Visibility.PUBLIC,
    backbone: Annotated[str, typer.Option(help="The network for this kind of organism; default: the setting.")] = "",
    root: Annotated[str, typer.Option(help="Only taxa within this one: a Q-id or a scientific name.")] = "",
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Make a campaign, from files on Commons (a category, a list, a query) or, without any, for a folder to import."""
    kind, source = _source(category, files, query, of_collection)
    new = campaigns.NewCampaign(
        title=title,
        source_kind=kind,
        source=source,
        source_depth=depth,
        slug=slug,
        collection=collection,
        description=description,
        visibility=visibility,
        backbone=backbone,
    )
    with opened() as (_, database), database.writing() as session:
        made = campaigns.create(session, None, new, utc_now())
        if root:
            ask_for_scope(session, made, root, utc_now())
    todo = f"icones import {made.slug} FOLDER" if kind is SourceKind.FOLDER else f"icones sync {made.slug}"
    tell({"slug": made.slug, "title": made.title}, as_json, f"Made “{made.title}”. Next: {todo}")


def _source(category: str, files: Path | None, query: Path | None, collection: str) -> tuple[SourceKind, str]:
    """Return the one source that was named, as kind and text."""
    named = [one for one in (category, files, query, collection) if one]
    if len(named) > 1:
        raise typer.BadParameter("Name one source: --category, --files, --query or --of-collection.")
    if files:
        return SourceKind.FILES, _text(files)
    if query:
        return SourceKind.QUERY, _text(query)
    if collection:
        if not collection_of(collection.upper()):
            raise typer.BadParameter("A collection is named by its item on Wikidata, for example Q190804.")
        return SourceKind.QUERY, collection
    return (SourceKind.CATEGORY, category) if category else (SourceKind.FOLDER, "")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} cannot be read as UTF-8 text: {error}.") from error


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


@campaign.command("learns-from")
def learns_from(
    slug: Annotated[str, CAMPAIGN],
    others: Annotated[list[str] | None, typer.Argument(help="Short names of other campaigns; none for itself.")] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Let a campaign's model learn from the verified figures of these other campaigns too, and of no others."""
    with opened() as (_, database):
        own = campaign_of(database, slug)
        with database.writing() as session:
            door = campaigns.Door(session.get_one(Campaign, own.id), Role.CURATOR)
            model_settings.learn_from(session, door, None, others or [])
            chosen = [row for row in model_settings.sources(session, door, None).rows if row.is_chosen]
    result = {row.campaign.slug: row.n_verified for row in chosen}
    words = ", ".join(f"{name} ({n} verified figures)" for name, n in result.items())
    tell({"learns_from": result}, as_json, f"It learns from {words}. Next: icones train {slug}")


def sync(
    slug: Annotated[str, typer.Argument(help="The campaign's short name; leave it out with --all.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Sync every open campaign whose files are on Commons.")] = (
        False
    ),
    full: Annotated[bool, typer.Option(help="Read every file again, whatever the revisions say.")] = False,
    accept_loss: Annotated[
        bool, typer.Option(help="Mark files as gone although most have left the source at once.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Bring a campaign in line with its source on Commons: files, statements, taxa, images. Safe to stop."""
    if bool(slug) == everything:
        raise typer.BadParameter("Name one campaign, or sync all of them with --all.")
    wishes = {name: True for name, wished in (("full", full), ("accept_loss", accept_loss)) if wished}
    with opened() as (settings, database):
        if slug:
            run = carry_out(settings, database, campaign_of(database, slug), JobKind.SYNC, as_json, **wishes)
            tell(run.result, as_json, _sync_words(run.result))
        else:
            _sync_all(settings, database, wishes, as_json)


def _sync_all(settings: Settings, database: Database, wishes: dict[str, bool], as_json: bool) -> None:
    """Sync one campaign after the other; what went wrong with some is told at the end, and fails the command."""
    with database.reading() as session:
        known = campaign_queries.all_open(session)
    results: dict[str, dict[str, Any]] = {}
    problems = []
    for own in sorted((one for one in known if one.source_kind in ON_THE_WIKI), key=lambda one: one.slug):
        try:
            run = carry_out(settings, database, own, JobKind.SYNC, as_json, **wishes)
        except IconesError as error:
            problems.append(f"{own.slug}: {error.message}")
            results[own.slug] = {"problem": error.message}
            continue
        results[own.slug] = run.result
        if not as_json:
            typer.echo(f"{own.slug}: {_sync_words(run.result)}")
    if as_json:
        tell({"campaigns": results}, True, "")
    elif not results:
        typer.echo("There is no open campaign with files on Commons.")
    if problems:
        raise IconesError(f"{len(problems)} of {len(results)} campaigns could not be synced.", details=problems)


def _sync_words(result: dict[str, Any]) -> str:
    return (
        f"{result['files']} files: {result['new']} new, {result['changed']} changed, {result['gone']} gone, "
        f"{result['back']} back ({result['api_calls']} calls). "
        f"{result['images']} images fetched, {result['refused']} refused, {result['later']} left for the next sync."
    )


def taxa(
    slug: Annotated[str, typer.Argument(help="The campaign's short name; leave it out with --all.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Ask about every taxon that is kept here.")] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Ask Wikidata again about the taxa that a campaign names, and bring in those within its scope."""
    if bool(slug) == everything:
        raise typer.BadParameter("Name one campaign, or ask for all taxa with --all.")
    with opened() as (settings, database):
        own = campaign_of(database, slug) if slug else _first(database)
        which = "all" if everything else "campaign"
        run = carry_out(settings, database, own, JobKind.TAXA, as_json, which=which, scope=not everything)
    result = run.result
    words = (
        f"{result['kept']} taxa asked for: {result['new']} new, {result['renamed']} renamed, {result['moved']} stand "
        f"elsewhere, {result['merged']} merged, {result['gone']} gone. "
        f"{result['decided_anew']} figures changed their state."
    )
    tell(result, as_json, words)


def _first(database: Database) -> Campaign:
    """Return the campaign in whose name work for the whole installation is done."""
    with database.reading() as session:
        found = sorted(campaign_queries.all_open(session), key=lambda one: one.id or 0)
    if not found:
        raise NotFoundError("There is no open campaign yet: icones campaign create --help")
    return found[0]


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
        if own.source_kind in ON_THE_WIKI:
            raise BadInputError(f"“{slug}” gets its files from Commons. Make a campaign without a source for a folder.")
        listing = read_source(folder, table)
        counts = import_folder(database, ImageStore(settings.data_dir / "images"), own, listed_of(listing, folder))
        named = resolve_names(database, own)
        if named["names"]:
            with database.writing() as session:
                runner.ask(session, JobKind.NAMES, own, utc_now(), trigger="command")
    words = (
        f"{counts['files']} images taken in ({counts['new']} new). "
        f"{named['resolved']} of {named['names']} names are known taxa; the others stay as written. "
        f"The worker looks them up now; or do it here: icones names {slug}"
    )
    tell(counts | named, as_json, words)


def names(
    slug: Annotated[str, CAMPAIGN],
    again: Annotated[bool, typer.Option(help="Ask for all open names, not only for new ones.")] = False,
    marine: Annotated[bool, typer.Option(help="The collection is marine: ask WoRMS for every open name.")] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Look up what the written names of a campaign mean. What a curator settled is never changed."""
    with opened() as (settings, database):
        own = campaign_of(database, slug)
        run = carry_out(settings, database, own, JobKind.NAMES, as_json, again=again, marine=marine)
    result = run.result
    words = (
        f"{result['asked']} names asked for: {result['matched']} matched, {result['open']} wait for a curator. "
        f"{result['waiting']} of these are asked again by the next run, because a catalogue did not answer."
    )
    tell(result, as_json, words)


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
