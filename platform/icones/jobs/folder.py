"""Local sources: a folder of images with a table of names becomes a campaign's listing."""

from pathlib import Path

from icones.clock import utc_now
from icones.db import Database
from icones.errors import BadInputError
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.illustrations.service import Listed
from icones.models import Campaign
from icones.taxa import service as taxa
from wiki_sync import Depicts, FolderListing, FolderProblemsError, read_folder


def read_source(folder: Path, table: Path | None) -> FolderListing:
    """Return the validated folder; BadInputError lists all that is wrong, with line numbers."""
    try:
        return read_folder(folder, table)
    except FolderProblemsError as error:
        raise BadInputError(
            f"Nothing was taken in: {len(error.problems)} problems.", details=[str(one) for one in error.problems]
        ) from error


def listed_of(listing: FolderListing, folder: Path) -> list[tuple[Listed, Path]]:
    """Return the folder's images as a listing, each with its path."""
    return [
        (
            Listed(
                key=image.file,
                title=image.title or Path(image.file).stem.replace("_", " "),
                mime=image.mime,
                width=image.width,
                height=image.height,
                sha1=image.sha1,
                artist=image.artist,
                licence=image.licence,
                object_number=image.object_number,
                object_number_source="table" if image.object_number else "",
                verbatim_name=image.scientific_name or image.name,
                source_group=image.source_group,
                box=image.box,
            ),
            image.path,
        )
        for image in listing.images
    ]


def resolve_names(database: Database, campaign: Campaign) -> dict[str, int]:
    """Note for each image whose verbatim name is one known taxon that the source says so; return the counts.

    A name that no taxon or several taxa bear is left for people: never mapped by guess.
    """
    with database.writing() as session:
        rows = [row for row in illustrations.by_key(session, campaign.id or 0).values() if row.verbatim_name]
        known = taxa.resolve(session, {row.verbatim_name for row in rows})
        stated = {
            row.id or 0: [Depicts(f"table:{row.id}", known[row.verbatim_name], "value", "normal", None, {})]
            for row in rows
            if row.verbatim_name in known
        }
        illustration_service.mirror(session, stated, utc_now())
    return {"names": len(rows), "resolved": len(stated)}
