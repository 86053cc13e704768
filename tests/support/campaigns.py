"""Small campaigns for tests: drawn figures of made-up but well-formed taxa."""

import io
from datetime import datetime
from functools import cache

from PIL import Image, ImageDraw

from icones.campaigns import service as campaigns
from icones.config import Settings
from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.illustrations.service import Listed
from icones.illustrations.store import ImageStore
from icones.models import Campaign, SourceKind
from icones.taxa import service as taxa
from wiki_sync import TaxonFacts, TaxonName

ROOT, FAMILY, GENUS, ADMIRAL, LADY, WHITE = (f"Q90000000{n}" for n in range(6))


def facts() -> list[TaxonFacts]:
    """A lineage of six taxa: two species of one genus, one of its own, a family and a root."""
    return [
        _taxon(ROOT, "Lepidoptera", "order", None, ("en", "butterflies and moths"), ("nl", "vlinders")),
        _taxon(FAMILY, "Nymphalidae", "family", ROOT, ("en", "brush-footed butterflies")),
        _taxon(GENUS, "Vanessa", "genus", FAMILY),
        _taxon(ADMIRAL, "Vanessa atalanta", "species", GENUS, ("en", "red admiral"), ("nl", "atalanta")),
        _taxon(LADY, "Vanessa cardui", "species", GENUS, ("en", "painted lady"), ("nl", "distelvlinder")),
        _taxon(WHITE, "Pieris rapae", "species", ROOT, ("en", "small white"), ("nl", "klein koolwitje")),
    ]


def _taxon(qid: str, name: str, rank: str, parent: str | None, *names: tuple[str, str]) -> TaxonFacts:
    return TaxonFacts(
        qid=qid,
        scientific_name=name,
        rank=rank,
        rank_qid=None,
        parent_qid=parent,
        parent_qids=(parent,) if parent else (),
        authorship="(Linnaeus, 1758)" if rank == "species" else None,
        names=tuple(TaxonName(language, word, True) for language, word in names),
        ids={"gbif": qid.removeprefix("Q")},
        image_title=None,
    )


@cache
def drawing(kind: int, seed: int, side: int = 240) -> bytes:
    """A simple picture of one of three kinds: they differ in colour and shape, each a little by its seed."""
    picture = Image.new("RGB", (side, side), (244, 236, 216))
    pen = ImageDraw.Draw(picture)
    shift = (seed * 7) % 40
    box = (40 + shift, 50, side - 60 + shift // 2, side - 50)
    if kind == 0:
        pen.ellipse(box, fill=(190, 40 + seed % 30, 30))
        pen.line((20, 120 + shift, 220, 120), fill=(20, 20, 20), width=12)
    elif kind == 1:
        pen.rectangle(box, fill=(220, 140 + seed % 30, 60))
        pen.ellipse((100, 90 + shift, 140, 130 + shift), fill=(40, 40, 90))
    else:
        pen.polygon([(120, 30), (30 + shift, 200), (215, 190)], fill=(235, 235, 250 - seed % 30), outline=(60, 60, 60))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def make_campaign(
    settings: Settings, database: Database, now: datetime, per_kind: int = 4, slug: str = "butterflies"
) -> Campaign:
    """Return a campaign with ``3 * per_kind`` figures, titles "Plate 01" ..., kinds in turn."""
    store = ImageStore(settings.data_dir / "images")
    with database.writing() as session:
        taxa.save(session, facts(), now)
        new = campaigns.NewCampaign(
            title="Butterflies of the album",
            source_kind=SourceKind.FOLDER,
            source="album",
            slug=slug,
            description="Drawings of butterflies from one album.",
        )
        campaign = campaigns.create(session, None, new, now)
        listing = [
            Listed(
                key=f"plate-{place:02d}.jpg",
                title=f"Plate {place:02d}",
                object_number=f"RP-T-BR-2017-1-{place}",
                object_number_source="table",
                licence="Public domain",
                width=240,
                height=240,
                mime="image/jpeg",
            )
            for place in range(3 * per_kind)
        ]
        illustration_service.save_listing(session, campaign, listing, now)
        rows = illustrations.by_key(session, campaign.id or 0)
        for place, item in enumerate(listing):
            image = store.keep(drawing(place % 3, place))
            illustration_service.image_fetched(session, rows[item.key].id or 0, image)
    return campaign


def figure_ids(database: Database, campaign: Campaign) -> list[int]:
    """Return the figures of a campaign, in the order of its plates."""
    with database.reading() as session:
        return [figure.id or 0 for figure, _ in illustrations.figures_of_campaign(session, campaign.id or 0)]
