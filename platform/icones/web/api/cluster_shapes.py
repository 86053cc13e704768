"""What the API gives of groups of look-alikes; see ``shapes``."""

from pydantic import BaseModel, Field

from icones.web.api.shapes import ROBIN, TaxonOut, example, example_of


class ClusterOut(BaseModel):
    """Figures that look alike and that nobody has named yet."""

    model_config = example(number=3, figure_ids=[12, 40, 7], cohesion=0.91, suggested=ROBIN, n_suggested=2)
    number: int = Field(description="Until the groups are made anew, with the next published model.")
    figure_ids: list[int] = Field(description="The most typical first.")
    cohesion: float = Field(description="Mean cosine to the centre, -1 to 1.")
    suggested: TaxonOut | None = Field(description="What the model thinks most probable for most of them.")
    n_suggested: int = Field(description="For how many of them it does.")


class ClustersOut(BaseModel):
    """The groups that wait for this person, the largest first."""

    model_config = example(clusters=[example_of(ClusterOut)], is_all=True)
    clusters: list[ClusterOut]
    is_all: bool = Field(description="Whether these are all, or the first of more.")
