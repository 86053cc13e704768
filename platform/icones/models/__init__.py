"""All tables. Relationships across domains are followed by queries, never by lazy loading."""

from icones.models.campaigns import Campaign, SourceKind, Visibility
from icones.models.columns import metadata
from icones.models.exports import Export
from icones.models.identifications import (
    Answer,
    Confidence,
    Determination,
    DeterminationChange,
    DeterminationState,
    Ending,
    Identification,
    Queue,
    ReviewTask,
    Skip,
)
from icones.models.illustrations import DepictsStatement, Figure, Illustration, IllustrationState
from icones.models.jobs import JobKind, JobRun, JobState, WorkerBeat
from icones.models.learning import Embedding, ModelState, ModelVersion, Prediction
from icones.models.people import Expertise, Membership, Person, Role, SignIn
from icones.models.taxa import Taxon, TaxonAncestor, TaxonName

__all__ = [
    "Answer",
    "Campaign",
    "Confidence",
    "DepictsStatement",
    "Determination",
    "DeterminationChange",
    "DeterminationState",
    "Embedding",
    "Ending",
    "Expertise",
    "Export",
    "Figure",
    "Identification",
    "Illustration",
    "IllustrationState",
    "JobKind",
    "JobRun",
    "JobState",
    "Membership",
    "ModelState",
    "ModelVersion",
    "Person",
    "Prediction",
    "Queue",
    "ReviewTask",
    "Role",
    "SignIn",
    "Skip",
    "SourceKind",
    "Taxon",
    "TaxonAncestor",
    "TaxonName",
    "Visibility",
    "WorkerBeat",
    "metadata",
]
