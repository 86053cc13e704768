"""Campaigns on the stand-in Commons: a small wiki of drawn files, and settings that point at it."""

from icones.campaigns import service as campaigns
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.jobs import runner
from icones.jobs.all import JOBS
from icones.models import Campaign, JobKind, JobRun, SourceKind
from tests.support.campaigns import drawing
from tests.support.standin import StandInCommons, World, depicts

CATEGORY = "Album of butterflies"
ADMIRAL, LADY, WHITE = "Q901", "Q902", "Q903"


def small_world(n: int = 9) -> World:
    """A wiki with one category of ``n`` drawn files of three species; a third of each carries its P180."""
    world = World(sitename="Stand-in Commons")
    world.taxa.add("Lepidoptera", "order", qid="Q900", names={"en": ["butterflies and moths"], "nl": ["vlinders"]})
    world.taxa.add("Vanessa", "genus", qid="Q910", parents=("Q900",))
    world.taxa.add("Vanessa atalanta", "species", qid=ADMIRAL, parents=("Q910",), names={"en": ["red admiral"]})
    world.taxa.add("Vanessa cardui", "species", qid=LADY, parents=("Q910",), names={"en": ["painted lady"]})
    world.taxa.add("Pieris rapae", "species", qid=WHITE, parents=("Q900",), names={"en": ["small white"]})
    world.add_category(CATEGORY)
    for place in range(n):
        qid = (ADMIRAL, LADY, WHITE)[place % 3]
        world.add_file(
            f"Plate {place:02d}, RP-T-BR-2017-1-{place}.jpg",
            drawing(place % 3, place),
            [CATEGORY],
            artist_html="Unknown",
            licence="CC0",
            statements=[depicts(qid)] if place % 9 < 3 else [],
        )
    return world


def pointed_at(settings: Settings, commons: StandInCommons) -> Settings:
    """Return the settings with the stand-in in the place of Commons, Wikidata and Meta."""
    return settings.model_copy(
        update={
            "commons_api_url": commons.api_url,
            "sparql_urls": (commons.sparql_url,),
            "commons_sparql_urls": (commons.commons_sparql_url,),
            "image_hosts": (commons.host,),
            "oauth_root": f"{commons.rest_url}/oauth2",
        }
    )


def category_campaign(database: Database, category: str = CATEGORY, depth: int = 0, slug: str = "album") -> Campaign:
    """Make a campaign on a category."""
    new = campaigns.NewCampaign(
        title="Album", source_kind=SourceKind.CATEGORY, source=category, source_depth=depth, slug=slug
    )
    with database.writing() as session:
        return campaigns.create(session, None, new, utc_now())


def listed_campaign(database: Database, kind: SourceKind, source: str, slug: str = "listed") -> Campaign:
    """Make a campaign on a list of files or on a query."""
    new = campaigns.NewCampaign(title="Listed", source_kind=kind, source=source, slug=slug)
    with database.writing() as session:
        return campaigns.create(session, None, new, utc_now())


def run_job(settings: Settings, database: Database, campaign: Campaign, kind: JobKind, **parameters: bool) -> JobRun:
    """Ask for a run and carry it out here; return its row."""
    with database.writing() as session:
        asked = runner.ask(session, kind, campaign, utc_now(), parameters=parameters)
    runner.execute(settings, database, asked.id or 0, JOBS)
    with database.reading() as session:
        return session.get_one(JobRun, asked.id)
