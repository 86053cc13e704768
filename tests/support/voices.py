"""People who say things, through the services: the beginnings from which pages are tested."""

from collections.abc import Sequence

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.identifications import service as identifications
from icones.identifications.service import Submission, Submitted
from icones.jobs import runner
from icones.jobs.all import JOBS
from icones.models import Answer, Campaign, JobKind, JobRun, Person, Role
from icones.people import service as people
from tests.support.campaigns import ADMIRAL, LADY, WHITE, figure_ids
from tests.support.people import new_submission

KINDS = (ADMIRAL, LADY, WHITE)


def somebody(database: Database, campaign: Campaign, name: str, role: Role | None = None, *field: str) -> Person:
    """Return a person of this name, with a role and a field if they are given."""
    with database.writing() as session:
        one = people.arrive(session, f"test:{name}", name, utc_now())
        if role is not None:
            people.grant(session, campaign.id or 0, one, role, utc_now(), field)
    return one


def says(database: Database, who: Person, figure: int, qid: str | None, comment: str = "") -> Submitted:
    """Let a person say of a figure that it is this taxon; None for "cannot tell"."""
    answer = Answer.TAXON if qid else Answer.CANNOT_TELL
    with database.writing() as session:
        said = Submission(new_submission(), answer, qid, comment=comment)
        return identifications.submit(session, who, figure, said, utc_now())


def verified(database: Database, campaign: Campaign, places: Sequence[int]) -> list[int]:
    """Let a specialist name the figures at these places as what they were drawn as; return all figures."""
    figures = figure_ids(database, campaign)
    cora = somebody(database, campaign, "Cora", Role.SPECIALIST)
    for place in places:
        says(database, cora, figures[place], KINDS[place % 3])
    return figures


def carried_out(settings: Settings, database: Database, campaign: Campaign, kind: JobKind) -> JobRun:
    """Ask for a run and carry it out here and now."""
    with database.writing() as session:
        asked = runner.ask(session, kind, campaign, utc_now())
    runner.execute(settings, database, asked.id or 0, JOBS)
    with database.reading() as session:
        return session.get_one(JobRun, asked.id)
