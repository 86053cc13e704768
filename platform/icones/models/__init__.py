"""All tables. Relationships across domains are followed by queries, never by lazy loading."""

from icones.models.campaigns import Campaign, SourceKind, Visibility, Writes
from icones.models.columns import metadata
from icones.models.depicts import (
    DepictsEdit,
    EditAction,
    EditBatch,
    EditState,
    Pen,
    WikiAccount,
    WikiGrant,
    WikiNotice,
)
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
from icones.models.illustrations import (
    DepictsStatement,
    Figure,
    FileChange,
    Illustration,
    IllustrationChange,
    IllustrationState,
)
from icones.models.jobs import JobKind, JobRun, JobState, WorkerBeat
from icones.models.learning import Embedding, ModelState, ModelVersion, Prediction
from icones.models.names import NameAnswer, NameState
from icones.models.people import Expertise, Membership, Person, Role, SignIn
from icones.models.taxa import Taxon, TaxonAncestor, TaxonName

__all__ = [
    "Answer",
    "Campaign",
    "Confidence",
    "DepictsEdit",
    "DepictsStatement",
    "Determination",
    "DeterminationChange",
    "DeterminationState",
    "EditAction",
    "EditBatch",
    "EditState",
    "Embedding",
    "Ending",
    "Expertise",
    "Export",
    "Figure",
    "FileChange",
    "Identification",
    "Illustration",
    "IllustrationChange",
    "IllustrationState",
    "JobKind",
    "JobRun",
    "JobState",
    "Membership",
    "ModelState",
    "ModelVersion",
    "NameAnswer",
    "NameState",
    "Pen",
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
    "WikiAccount",
    "WikiGrant",
    "WikiNotice",
    "WorkerBeat",
    "Writes",
    "metadata",
]
