"""Taxa that people have just begun to verify, and that no model has learned yet."""

from datetime import datetime

from sqlmodel import Session

from icones.learning import label_queries, labels, queries
from icones.models import Campaign, ModelOrigin
from icones.taxa import service as taxa


def unlearned(session: Session, campaign: Campaign, since: datetime) -> frozenset[str]:
    """Return the taxa first verified after a moment of which the newest trained version has seen no figure.

    A group whose members it has learned is none of them: such a name trains what lies below it. Nor is there any while
    no trained model serves. What the newest version had seen stays out also where that version was kept back.
    """
    key = campaign.id or 0
    serving = queries.champion(session, key)
    if serving is None or serving.origin is ModelOrigin.BORROWED:
        return frozenset()
    first = label_queries.first_verified(session, key, since)
    if not first:
        return frozenset()
    newest = queries.versions(session, key)[0]
    seen = {label["taxon"] for label in queries.snapshot_of(session, newest.id or 0).get("labels", ())}
    known = set(taxa.current(session, seen).values())
    found = set(labels.counted_as(session, campaign, sorted(first)).values()) - known
    if not found:
        return frozenset()
    tree = labels.taxonomy_of(session, known | found)
    return frozenset(found - {above for qid in known for above in tree.lineage(qid)})
