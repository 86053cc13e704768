"""A small album whose source gives names, and the Wikidata in which they are looked up."""

from icones.config import Settings
from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.models import Campaign
from tests.support.standin import World
from tests.support.standin_names import StandInNames

BIRDS = {"kingdom": "Animalia", "class": "Aves", "order": "Passeriformes", "family": "Laniidae"}
WRITTEN = {"Lanius minor": 3, "Lanius rufus, Briss.": 2, "Lanius italicus Lath.": 1, "Lanius cf. minor": 2}
"""Names as the source has them, and on how many plates."""


def names_world() -> World:
    """Shrikes: two species, and an outdated name of one of them."""
    world = World(sitename="Stand-in Commons")
    taxa = world.taxa
    taxa.add("Animalia", "kingdom", qid="Q10")
    taxa.add("Aves", "class", ["Q10"], qid="Q12", names={"en": ["birds"]})
    taxa.add("Laniidae", "family", ["Q12"], qid="Q13")
    taxa.add("Lanius", "genus", ["Q13"], qid="Q20")
    taxa.add("Lanius minor", "species", ["Q20"], qid="Q21", ids={"gbif": "201"}, names={"en": ["lesser grey shrike"]})
    taxa.add("Lanius rufus", "species", qid="Q22")
    taxa.add("Lanius senator", "species", ["Q20"], qid="Q23", synonyms=["Q22"], names={"en": ["woodchat shrike"]})
    return world


def point(settings: Settings, others: StandInNames) -> Settings:
    """Return the settings with the stand-ins in the place of the catalogues of names."""
    return settings.model_copy(
        update={
            "gbif_url": others.gbif_url,
            "col_url": others.col_url,
            "worms_url": others.worms_url,
            "names_pause_s": 0.0,
        }
    )


def write_names(database: Database, campaign: Campaign) -> None:
    """Give the first plates of a campaign the names of `WRITTEN`."""
    given = [name for name, n in WRITTEN.items() for _ in range(n)]
    with database.writing() as session:
        rows = illustrations.by_key(session, campaign.id or 0)
        for key, name in zip(sorted(rows), given, strict=False):
            rows[key].verbatim_name = name
            session.add(rows[key])
