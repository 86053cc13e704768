"""Groups of look-alike figures that wait to be named."""

from fastapi import APIRouter

from icones.clock import utc_now
from icones.learning import clusters
from icones.models import Role
from icones.taxa import service as taxa
from icones.web.api.answers import problems, taxon_out
from icones.web.api.cluster_shapes import ClusterOut, ClustersOut
from icones.web.visitor import CampaignDoor, CurrentVisitor, DbSession

router = APIRouter()


@router.get(
    "/campaigns/{slug}/clusters", responses=problems(401, 403, 404), summary="Groups of look-alikes", tags=["figures"]
)
def list_clusters(door: CampaignDoor, session: DbSession, asking: CurrentVisitor) -> ClustersOut:
    """List figures that nobody has named yet in groups that look alike. For specialists and curators."""
    door.require(Role.SPECIALIST)
    waiting = clusters.waiting(session, door.campaign, asking.signed_in(), utc_now())
    names = taxa.views(session, {one.suggested for one in waiting.groups if one.suggested}, asking.language)
    return ClustersOut(
        clusters=[
            ClusterOut(
                number=one.number,
                figure_ids=list(one.figure_ids),
                cohesion=one.cohesion,
                suggested=taxon_out(names[one.suggested]) if one.suggested in names else None,
                n_suggested=one.n_suggested,
            )
            for one in waiting.groups
        ],
        is_all=waiting.is_all,
    )
