"""Local sources: a folder of images with a table of names becomes a campaign's listing."""

from datetime import datetime
from pathlib import Path

from sqlmodel import Session

from icones.clock import utc_now
from icones.db import Database
from icones.errors import BadInputError
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.illustrations.service import Listed
from icones.models import Campaign, NameAnswer, NameState
from icones.names import queries as names
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
    """Note for each image whose written name is one known taxon that the source says so; return the counts."""
    with database.writing() as session:
        return state_names(session, session.get_one(Campaign, campaign.id), utc_now())


def state_names(session: Session, campaign: Campaign, now: datetime) -> dict[str, int]:
    """Bring what an imported folder says of its images in line with what its names were found to mean.

    A curator's word comes first, then what a matcher was sure of. A name that nobody has looked up yet is taken for a
    taxon if exactly one that we know bears it; one that was looked up in vain is left to people. What a file on a
    wiki states is the wiki's, and stays as it is.
    """
    rows = [
        row for row in illustrations.by_key(session, campaign.id or 0).values() if row.verbatim_name and not row.mid
    ]
    written = {row.verbatim_name for row in rows}
    answers = names.answers(session, campaign.id or 0, written)
    said = {name: one.taxon_qid for name, one in answers.items() if one.taxon_qid}
    untried = {name for name in written if name not in answers or _is_untried(answers[name])}
    said |= taxa.resolve(session, untried)
    stated = {
        row.id or 0: [Depicts(f"table:{row.id}", said[row.verbatim_name], "value", "normal", None, {})]
        if row.verbatim_name in said
        else []
        for row in rows
    }
    illustration_service.mirror(session, stated, now)
    return {"names": len(rows), "resolved": sum(map(bool, stated.values()))}


def _is_untried(answer: NameAnswer) -> bool:
    return answer.state is NameState.OPEN and answer.asked_at is None
