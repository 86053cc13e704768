"""What the API takes and gives, with an example of each; a test checks that every example is valid.

Field names are part of the interface: they are added, and never renamed, within a version.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from icones.models import (
    Answer,
    Confidence,
    ConsensusRule,
    DeterminationState,
    IllustrationState,
    JobKind,
    JobState,
    ModelState,
    Role,
    SourceKind,
    Visibility,
)

ROBIN: dict[str, Any] = {
    "qid": "Q25334",
    "scientific_name": "Erithacus rubecula",
    "authorship": "(Linnaeus, 1758)",
    "rank": "species",
    "vernacular": "European robin",
    "ids": {"gbif": "2492462"},
    "lineage": ["Q25334", "Q846721"],
}
AT = "2026-05-04T12:30:00Z"


def example(**values: Any) -> ConfigDict:
    """Return a configuration that shows these values as the example of a shape."""
    return ConfigDict(json_schema_extra={"examples": [values]}, protected_namespaces=())


def example_of(shape: type[BaseModel]) -> dict[str, Any]:
    """Return the example of a shape."""
    extra = shape.model_config.get("json_schema_extra")
    assert isinstance(extra, dict)
    examples: Any = extra["examples"]
    return dict(examples[0])


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it (``application/problem+json``)."""

    model_config = example(
        type="about:blank#not-found",
        title="There is no campaign “birds”.",
        status=404,
        code="not-found",
        errors=[],
    )
    type: str
    title: str = Field(description="In words for people.")
    status: int
    code: str = Field(description="For programs; stable.")
    errors: list[str] = Field(default_factory=list, description="Details, one a line.")
    reference: str | None = Field(default=None, description="Of an unforeseen error: tell it to the operator.")


class Me(BaseModel):
    """Who is asking, and the token that a changing request must carry."""

    model_config = example(
        signed_in=True, name="Maria Sibylla", is_admin=False, language="nl", csrf="q3J0…", roles={"birds": "specialist"}
    )
    signed_in: bool
    name: str | None
    is_admin: bool
    language: str
    csrf: str = Field(description="Send it back as the header X-CSRF-Token with POST, PUT and DELETE.")
    roles: dict[str, Role] = Field(
        description="By the short name of the campaign; everyone signed in is a volunteer of open ones."
    )


class CampaignOut(BaseModel):
    """A campaign: a set of illustrations to identify."""

    model_config = example(
        slug="birds",
        title="Birds of the album",
        description="Drawings from one album.",
        source_kind="category",
        source="Historia Naturalis van Rudolf II",
        source_depth=1,
        collection="Rijksmuseum",
        visibility="public",
        root_taxon_qid="Q5113",
        created_at=AT,
        synced_at=AT,
        closed_at=None,
    )
    slug: str
    title: str
    description: str
    source_kind: SourceKind
    source: str
    source_depth: int
    collection: str
    visibility: Visibility
    root_taxon_qid: str | None
    created_at: datetime
    synced_at: datetime | None
    closed_at: datetime | None


class ProgressOut(BaseModel):
    """How far a campaign has come, in figures and illustrations."""

    model_config = example(
        total=240,
        settled=61,
        share=0.254,
        by_state={"open": 100, "predicted": 79, "verified": 61},
        illustrations={"ready": 200, "refused": 1},
        people=12,
        waiting_for_specialists=9,
    )
    total: int
    settled: int
    share: float
    by_state: dict[DeterminationState, int]
    illustrations: dict[IllustrationState, int]
    people: int
    waiting_for_specialists: int


class TaxonOut(BaseModel):
    """A taxon as Wikidata has it, with its name in the asked language."""

    model_config = example(**ROBIN)
    qid: str
    scientific_name: str
    authorship: str
    rank: str
    vernacular: str = Field(description="In the asked language, else in English, else empty.")
    ids: Mapping[str, str]
    lineage: list[str] = Field(description="Q-ids, itself first, the root last.")


class HitOut(BaseModel):
    """An answer to a search for names."""

    model_config = example(taxon=ROBIN, found_by="robin", closeness=1, is_synonym=False, is_outside=False)
    taxon: TaxonOut
    found_by: str = Field(description="The name that answered.")
    closeness: int = Field(description="0 the very name, 1 its beginning, 2 and 3 its words, 4 and more so many slips.")
    is_synonym: bool = Field(default=False, description="Found by a scientific name that a synonym bears.")
    is_outside: bool = Field(default=False, description="It lies outside the campaign's scope.")


class DeterminationOut(BaseModel):
    """The state of a figure: what follows from all that people said."""

    model_config = example(
        state="verified",
        answer="taxon",
        taxon_qid="Q25334",
        rule="A specialist's word settles.",
        n_agree=3,
        n_disagree=1,
        decided_at=AT,
        kept_back="",
    )
    state: DeterminationState
    answer: Answer | None
    taxon_qid: str | None
    rule: str
    n_agree: int
    n_disagree: int
    decided_at: datetime
    kept_back: str = Field(
        default="",
        description="Why answers are not told to you yet, in a sentence: your own would be one of the first, which "
        "are given without seeing any. Empty where nothing is kept back.",
    )


class FigureOut(BaseModel):
    """One organism on an illustration."""

    model_config = example(
        id=12,
        number=1,
        box="pct:10,12,40,55",
        illustration_id=7,
        illustration_title="Robin (Erithacus rubecula), RP-T-2.jpg",
        object_number="RP-T-2",
        mid="M1234",
        image_url="https://icones.example/c/birds/f/12/image?side=640",
        page_url="https://icones.example/c/birds/i/7",
        determination={
            "state": "open",
            "answer": None,
            "taxon_qid": None,
            "rule": "",
            "n_agree": 0,
            "n_disagree": 0,
            "decided_at": AT,
            "kept_back": "2 people name this one before answers are shown.",
        },
    )
    id: int
    number: int
    box: str | None = Field(description="pct:x,y,w,h in per cent of the image; null for all of it.")
    illustration_id: int
    illustration_title: str
    object_number: str
    mid: str | None = Field(description="The file's M-id on Commons.")
    image_url: str
    page_url: str
    determination: DeterminationOut


class FiguresOut(BaseModel):
    """One page of figures; ask again with ``cursor=next`` until ``next`` is null."""

    model_config = example(figures=[], next=412)
    figures: list[FigureOut]
    next: int | None


class IdentificationOut(BaseModel):
    """What one person said. Names are told only of people who agreed to it."""

    model_config = example(
        id=99,
        figure_id=12,
        answer="taxon",
        taxon_qid="Q25334",
        confidence="sure",
        comment="",
        disagrees=False,
        given_as="volunteer",
        person=None,
        is_mine=False,
        created_at=AT,
        ended_at=None,
        ending=None,
    )
    id: int
    figure_id: int
    answer: Answer
    taxon_qid: str | None
    confidence: Confidence
    comment: str
    disagrees: bool = Field(description="They say that it cannot be named more exactly than this.")
    given_as: Role
    person: str | None
    is_mine: bool
    created_at: datetime
    ended_at: datetime | None
    ending: str | None


class PredictedOut(BaseModel):
    """One of the model's answers with its calibrated probability."""

    model_config = example(taxon=ROBIN, probability=0.83)
    taxon: TaxonOut
    probability: float


class ClaimOut(BaseModel):
    """The deepest taxon of which the model is pretty sure."""

    model_config = example(taxon=ROBIN, probability=0.97, right=0.95)
    taxon: TaxonOut
    probability: float
    right: float | None = Field(
        description="The share of such statements, at this rank, that is right; null where too little was measured."
    )


class PlausibleOut(BaseModel):
    """The taxa among which the truth is, nine times in ten."""

    model_config = example(n=2, taxa=[ROBIN], is_list=False)
    n: int = Field(description="How many of the taxa that the model learned.")
    taxa: list[TaxonOut] = Field(description="These, or of many the one taxon that holds them all, if there is one.")
    is_list: bool = Field(description="Whether `taxa` lists them one by one.")


class PredictionOut(BaseModel):
    """What the serving model says of a figure, at every rank."""

    model_config = example(
        model_number=3,
        model_version_id=8,
        best=[{"taxon": ROBIN, "probability": 0.83}],
        lineage=[],
        margin=0.7,
        entropy=0.2,
        reason="random",
        claim=example_of(ClaimOut),
        plausible=example_of(PlausibleOut),
        novelty=0.04,
        verdict="known",
    )
    model_number: int
    model_version_id: int
    best: list[PredictedOut]
    lineage: list[PredictedOut] = Field(description="The best answer's ancestors, lowest first.")
    margin: float
    entropy: float = Field(description="0 sure, 1 knows nothing.")
    reason: str = Field(description="Why the figure is asked about; empty where it is not.")
    claim: ClaimOut | None = Field(description="Null where it is sure of nothing.")
    plausible: PlausibleOut | None = Field(description="Null where too little was measured.")
    novelty: float | None = Field(
        description="The chance that it is none of the taxa that the model learned; null before that was learned."
    )
    verdict: str = Field(
        description="`known`; `near`, a relative of what it learned; `far`, nothing like it; empty as for `novelty`."
    )


class SimilarOut(BaseModel):
    """A figure that looks like the one asked about."""

    model_config = example(figure_id=31, likeness=0.91, determination=None)
    figure_id: int
    likeness: float = Field(description="Cosine of the feature vectors, 1 for the same picture.")
    determination: DeterminationOut | None


class FigureDetailOut(BaseModel):
    """A figure with all that is known of it."""

    figure: FigureOut
    identifications: list[IdentificationOut]
    prediction: PredictionOut | None
    taxa: dict[str, TaxonOut] = Field(description="All taxa that are named here, by Q-id.")
    model_config = example(figure=example_of(FigureOut), identifications=[], prediction=None, taxa={"Q25334": ROBIN})


class NextOut(BaseModel):
    """The figure to ask this person next; null when nothing is left for them."""

    model_config = example(figure_id=12, reason="close_call")
    figure_id: int | None
    reason: str | None


class IdentificationIn(BaseModel):
    """What a person says of a figure. The same ``submission_id`` again changes nothing."""

    model_config = example(
        submission_id="0b1f9c3a-3f7e-4a52-9d50-4f1d5d3f6a11",
        answer="taxon",
        taxon_qid="Q25334",
        confidence="sure",
        comment="",
        disagrees=False,
        model_version_id=8,
    )
    submission_id: str = Field(min_length=8, max_length=64, description="Made by the client, new for each answer.")
    answer: Answer = Answer.TAXON
    taxon_qid: str | None = None
    confidence: Confidence = Confidence.SURE
    comment: str = ""
    disagrees: bool = Field(
        default=False,
        description="It cannot be named more exactly than this. Kept only where somebody else has named it so.",
    )
    model_version_id: int | None = Field(
        default=None,
        description="Of the suggestions that were on the screen, if any. Whoever was not to see any answers blind.",
    )


class SubmittedOut(BaseModel):
    """What came of an answer."""

    model_config = example(
        identification=example_of(IdentificationOut), determination=example_of(DeterminationOut), is_repeat=False
    )
    identification: IdentificationOut
    determination: DeterminationOut
    is_repeat: bool


class BoxIn(BaseModel):
    """Another organism on the same illustration."""

    model_config = example(box="pct:50,10,40,40")
    box: str | None = None


class ReviewTaskOut(BaseModel):
    """A figure that waits for a specialist."""

    model_config = example(reason="disputed", priority=3.0, figure=example_of(FigureOut))
    reason: str
    priority: float
    figure: FigureOut


class ReviewOut(BaseModel):
    """One page of the specialists' queue."""

    model_config = example(total=0, tasks=[])
    total: int
    tasks: list[ReviewTaskOut]


class JobIn(BaseModel):
    """What to do in the background."""

    model_config = example(kind="retrain", full=False, accept_loss=False)
    kind: JobKind
    full: bool = Field(default=False, description="Of a sync: read every file again, whatever the revisions say.")
    accept_loss: bool = Field(
        default=False, description="Of a sync: mark files as gone although most have left the source at once."
    )


class JobOut(BaseModel):
    """A run of background work."""

    model_config = example(
        id=5,
        kind="retrain",
        state="running",
        trigger="person",
        step="Training on 120 labels of 9 taxa",
        done=0,
        total=None,
        log="",
        problem="",
        result={},
        attempts=1,
        created_at=AT,
        started_at=AT,
        finished_at=None,
    )
    id: int
    kind: JobKind
    state: JobState
    trigger: str
    step: str
    done: int
    total: int | None
    log: str
    problem: str
    result: dict[str, Any]
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ModelOut(BaseModel):
    """A model version."""

    model_config = example(
        number=3,
        state="champion",
        backbone="mobilenet_v3_small@ab12",
        verdict="Published: it is better.",
        snapshot_hash="d1",
        seed=1,
        accuracy=0.81,
        measured_on="holdout",
        n=60,
        created_at=AT,
        published_at=AT,
        retired_at=None,
    )
    number: int
    state: ModelState
    backbone: str
    verdict: str
    snapshot_hash: str
    seed: int
    accuracy: float | None = Field(description="Null when nothing could be measured.")
    measured_on: str
    n: int
    created_at: datetime
    published_at: datetime | None
    retired_at: datetime | None


class ModelReportOut(BaseModel):
    """A model version with its whole report and parameters."""

    model_config = example(
        model=example_of(ModelOut), report={"measured_on": "holdout", "n": 60}, parameters={"folds": 5}
    )
    model: ModelOut
    report: dict[str, Any]
    parameters: dict[str, Any]
    sources_left_out: int = Field(
        default=0, description="So many campaigns that it learned from you do not see; the card is without their rows."
    )


class ExportOut(BaseModel):
    """A frozen export."""

    model_config = example(
        number=2,
        filename="birds-export-002.csv",
        n_rows=61,
        sha256="ab" * 32,
        created_at=AT,
        url="https://icones.example/api/v1/campaigns/birds/exports/2/content",
    )
    number: int
    filename: str
    n_rows: int
    sha256: str
    created_at: datetime
    url: str


class RulesOut(BaseModel):
    """By which rules a campaign decides."""

    model_config = example(
        quorum=2,
        agreement=0.67,
        agreed_is_verified=False,
        retrain_after=20,
        rule="community",
        blind_votes=2,
        gold_share=0.05,
    )
    quorum: int = Field(description="How many people must agree, 1 to 10.")
    agreement: float = Field(description="Which share of them, 0.5 to 1.")
    agreed_is_verified: bool = Field(description="Whether volunteers' agreement is enough.")
    retrain_after: int = Field(description="Newly verified figures after which the model trains by itself; 0 never.")
    rule: ConsensusRule | None = Field(
        default=None,
        description="Whether a taxon that is only implied may be agreed on (`community`) or not (`named`). "
        "Left out in a change, this and the next two stay as they are.",
    )
    blind_votes: int | None = Field(
        default=None,
        description="How many people name a figure before answers of others and of the model are shown, 0 to 5.",
    )
    gold_share: float | None = Field(
        default=None, description="Share of questions whose answer a specialist has given already, 0 to 0.2."
    )


class GrantIn(BaseModel):
    """A role for a person."""

    model_config = example(name="Specialist Clara", role="specialist", expertise=["Q5113"])
    name: str = Field(description="The account's name; the person must have signed in once.")
    role: Role
    expertise: list[str] = Field(default=[], description="Q-ids of the taxa a specialist knows; empty means all.")


class MemberOut(BaseModel):
    """A person with a role in a campaign."""

    model_config = example(person_id=7, name="Specialist Clara", role="specialist", expertise=["Q5113"])
    person_id: int
    name: str
    role: Role
    expertise: list[str]
