"""The demo: a campaign filled with plates that the project draws itself, or with a category of the live Commons.

The drawn plates come as an album does: of some the catalogue names the taxon, some were named by the demo's
specialist already, some are disputed, and most wait. The truth is what was drawn, so nothing here is made up about
real illustrations, and nothing is ever written to Commons.
"""

import random
import shutil
import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.progress import track
from sqlmodel import Session

from icones.campaigns import queries as campaign_queries
from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.commands.surroundings import carry_out, console
from icones.config import Settings
from icones.db import Database
from icones.demo.plates import DemoPlate, draw_plate, plan_plates
from icones.demo.taxa import load_taxa
from icones.errors import ConflictError, IconesError
from icones.identifications import service as identifications
from icones.identifications.service import Submission
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.illustrations.service import Listed
from icones.illustrations.store import ImageStore
from icones.learning import queries as learning
from icones.models import Answer, Campaign, Figure, JobKind, Person, Role, SourceKind
from icones.people import service as people
from icones.taxa import service as taxa
from wiki_sync import Depicts, TaxonFacts, TaxonName

SEED = 1
SLUG = "demo"
NAMED_BY_CATALOGUE = 0.12
VERIFIED = 0.25
DISPUTED = 8
AGREED = 8


def prepare(folder: Path, port: int, category: str, depth: int, fresh: bool) -> Settings:
    """Return the demo's settings with its campaign filled and a first model trained; a second start finds them."""
    if fresh and folder.exists():
        if not (folder / "icones.sqlite").exists() and any(folder.iterdir()):
            raise ConflictError(f"{folder} does not look like a demo's folder, so it is not thrown away.")
        shutil.rmtree(folder)
    changes = {"mode": "demo", "data_dir": folder, "base_url": f"http://127.0.0.1:{port}", "database_url": ""}
    told = Settings()
    if not category and "backbone" not in told.model_fields_set:
        # Drawn plates are named well by colour, texture and shape, and this needs no download.
        changes["backbone"] = "classical"
    settings = told.model_copy(update=changes).prepared()
    database = Database(settings.database)
    database.migrate()
    try:
        if category:
            _from_commons(settings, database, category, depth)
        else:
            _drawn(settings, database)
    finally:
        database.close()
    return settings


def _from_commons(settings: Settings, database: Database, category: str, depth: int) -> None:
    new = campaigns.NewCampaign(
        title=category.removeprefix("Category:"),
        source_kind=SourceKind.CATEGORY,
        source=category,
        source_depth=depth,
        description="A category of Wikimedia Commons, to try Icones with. Nothing is written to Commons.",
    )
    with database.writing() as session:
        slug = campaigns.slug_of(new)
        campaign = campaign_queries.by_slug(session, slug) or campaigns.create(session, None, new, utc_now())
    try:
        carry_out(settings, database, campaign, JobKind.SYNC, as_json=False)
    except IconesError:
        with database.writing() as session:
            if not illustrations.by_key(session, campaign.id or 0):
                campaigns.forget_empty(session, campaign)
        raise
    carry_out(settings, database, campaign, JobKind.RETRAIN, as_json=False)


def _drawn(settings: Settings, database: Database) -> None:
    with database.reading() as session:
        campaign = campaign_queries.by_slug(session, SLUG)
    if campaign is None:
        plates = plan_plates(SEED)
        images = _draw(ImageStore(settings.data_dir / "images"), plates)
        with database.writing() as session:  # all of it or nothing: an interrupted first start begins again
            campaign = _fill(session, plates, images, utc_now())
    with database.reading() as session:
        champion = learning.champion(session, campaign.id or 0)
    if champion is None:
        console.print("Training a first model …")
        carry_out(settings, database, campaign, JobKind.RETRAIN, as_json=False)


def _draw(store: ImageStore, plates: Sequence[DemoPlate]) -> list[str]:
    shown = track(plates, "Drawing plates …", console=console, transient=True, disable=not console.is_terminal)
    return [store.keep_picture(draw_plate(plate, SEED)) for plate in shown]


def _fill(session: Session, plates: Sequence[DemoPlate], images: Sequence[str], now: datetime) -> Campaign:
    taxa.save(session, _facts(), now)
    new = campaigns.NewCampaign(
        title="Leaves, wings and shells",
        source_kind=SourceKind.DEMO,
        source="drawn",
        slug=SLUG,
        description=(
            "Plates that Icones draws for itself, after the real characters of leaf, wing and shell. "
            "Try everything: nothing here reaches Wikimedia Commons."
        ),
        collection="Icones demo",
    )
    campaign = campaigns.create(session, None, new, now)
    illustration_service.save_listing(session, campaign, [_listed(plate) for plate in plates], now)
    rows = illustrations.by_key(session, campaign.id or 0)
    figures: list[tuple[Figure, str]] = []
    for plate, image in zip(plates, images, strict=True):
        row = rows[_key(plate)]
        illustration_service.image_fetched(session, row.id or 0, image)
        first = illustrations.figures(session, row.id or 0)[0]
        figures.append((first, plate.figures[0].qid))
        for number, more in enumerate(plate.figures[1:], 2):
            added = illustration_service.add_figure_row(session, campaign, row, number, more.box, None, now)
            figures.append((added, more.qid))
    _say_what_is_known(session, campaign, plates, figures, now)
    return campaign


def _say_what_is_known(
    session: Session, campaign: Campaign, plates: Sequence[DemoPlate], figures: list[tuple[Figure, str]], now: datetime
) -> None:
    """Let the catalogue, the demo's specialist and two volunteers have said something about some of the figures."""
    rng = random.Random(SEED)  # noqa: S311 (a demo's variety, not a secret)
    rows = illustrations.by_key(session, campaign.id or 0)
    alone = [plate for plate in plates if len(plate.figures) == 1]
    catalogued = rng.sample(alone, round(len(alone) * NAMED_BY_CATALOGUE))
    illustration_service.mirror(
        session,
        {
            rows[_key(plate)].id or 0: [
                Depicts(f"catalogue:{plate.number}", plate.figures[0].qid, "value", "normal", None, {})
            ]
            for plate in catalogued
        },
        now,
    )
    specialist = _person(session, campaign, "specialist", "Demo specialist", Role.SPECIALIST, now)
    one = _person(session, campaign, "volunteer", "Demo volunteer", Role.VOLUNTEER, now)
    other = _person(session, campaign, "volunteer-2", "Second demo volunteer", Role.VOLUNTEER, now)
    rng.shuffle(figures)
    n = round(len(figures) * VERIFIED)
    verified, agreed, disputed = figures[:n], figures[n : n + AGREED], figures[n + AGREED : n + AGREED + DISPUTED]
    for figure, qid in verified:
        _say(session, specialist, figure, qid, now)
    for figure, qid in agreed:
        _say(session, one, figure, qid, now)
        _say(session, other, figure, qid, now)
    qids = sorted({qid for _, qid in figures})
    for figure, qid in disputed:
        _say(session, one, figure, qid, now)
        _say(session, other, figure, rng.choice([wrong for wrong in qids if wrong != qid]), now)


def _person(session: Session, campaign: Campaign, sub: str, name: str, role: Role, now: datetime) -> Person:
    person = people.arrive(session, f"demo:{sub}", name, now)
    people.grant(session, campaign.id or 0, person, role, now)
    return person


def _say(session: Session, person: Person, figure: Figure, qid: str, now: datetime) -> None:
    said = Submission(uuid.uuid4().hex, Answer.TAXON, qid, shown={"blind": True})
    identifications.submit(session, person, figure.id or 0, said, now)


def _facts() -> list[TaxonFacts]:
    return [
        TaxonFacts(
            qid=one.qid,
            scientific_name=one.scientific_name,
            rank=one.rank,
            parent_qid=one.parent,
            parent_qids=(one.parent,) if one.parent else (),
            authorship=one.authorship,
            names=tuple(TaxonName(language, name, True) for language, name in one.names.items()),
            ids=one.ids,
        )
        for one in load_taxa().values()
    ]


def _key(plate: DemoPlate) -> str:
    return f"tab-{plate.number:04d}"


def _listed(plate: DemoPlate) -> Listed:
    several = len(plate.figures) > 1
    return Listed(
        key=_key(plate),
        title=plate.title,
        mime="image/jpeg",
        artist=plate.artist,
        licence=plate.licence,
        object_number=plate.object_number,
        object_number_source="catalogue",
        box=plate.figures[0].box if several else None,
    )
