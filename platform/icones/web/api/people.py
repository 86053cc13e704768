"""Who is what in a campaign: for its curators."""

from fastapi import APIRouter

from icones.clock import utc_now
from icones.models import Role
from icones.people import queries as people_queries
from icones.people import service as people
from icones.taxa import service as taxa
from icones.web.api.answers import problems
from icones.web.api.shapes import GrantIn, MemberOut
from icones.web.visitor import CampaignDoor, DbSession, RowId

router = APIRouter()


@router.get(
    "/campaigns/{slug}/people", responses=problems(401, 403, 404), summary="List people and roles", tags=["people"]
)
def list_people(door: CampaignDoor, session: DbSession) -> list[MemberOut]:
    """List who has a role in a campaign. For curators."""
    door.require(Role.CURATOR)
    key = door.campaign.id or 0
    fields = people_queries.expertise_in(session, key)
    return [
        MemberOut(
            person_id=person.id or 0, name=person.name, role=row.role, expertise=sorted(fields.get(row.id or 0, ()))
        )
        for row, person in people_queries.memberships(session, key)
    ]


@router.put("/campaigns/{slug}/people", responses=problems(401, 403, 404, 409), summary="Give a role", tags=["people"])
def grant(door: CampaignDoor, session: DbSession, given: GrantIn) -> MemberOut:
    """Give a person who has signed in once a role, in the place of an earlier one. For curators."""
    door.require(Role.CURATOR)
    key = door.campaign.id or 0
    person = people.require_by_name(session, given.name)
    if given.role is not Role.CURATOR:
        people.keep_a_curator(session, key, person.id or 0)
    for qid in given.expertise:
        taxa.require(session, qid)
    row = people.grant(session, key, person, given.role, utc_now(), given.expertise)
    return MemberOut(person_id=person.id or 0, name=person.name, role=row.role, expertise=sorted(set(given.expertise)))


@router.delete(
    "/campaigns/{slug}/people/{person_id}",
    status_code=204,
    responses=problems(401, 403, 404, 409),
    summary="Take a role away",
    tags=["people"],
)
def revoke(door: CampaignDoor, session: DbSession, person_id: RowId) -> None:
    """Take a person's role away; what they said stays. For curators."""
    door.require(Role.CURATOR)
    people.keep_a_curator(session, door.campaign.id or 0, person_id)
    people.revoke(session, door.campaign.id or 0, person_id)
