"""What the API says of an image from outside; see ``shapes``."""

from pydantic import BaseModel, Field

from icones.web.api.shapes import PredictionOut, SimilarOut, example, example_of


class IdentifiedOut(BaseModel):
    """What the serving model takes an image for. Nothing of the image is kept."""

    model_config = example(
        prediction={**example_of(PredictionOut), "reason": ""},
        n_taxa=48,
        accuracy=0.81,
        similar=[example_of(SimilarOut)],
    )
    prediction: PredictionOut
    n_taxa: int = Field(description="Among how many taxa the model chose; it knows no other.")
    accuracy: float | None = Field(
        description="How often the model is right at the first guess; null where it was not measured."
    )
    similar: list[SimilarOut] = Field(description="The campaign's figures that look most like it.")
