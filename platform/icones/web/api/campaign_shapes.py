"""What the API takes when a campaign is made, or shall have another source or scope; see ``shapes``."""

from typing import Literal

from pydantic import BaseModel, Field

from icones.models import Visibility
from icones.web.api.shapes import example


class CampaignIn(BaseModel):
    """A campaign to be made from files on Commons."""

    model_config = example(
        title="Birds of the album",
        source="Historia Naturalis van Rudolf II",
        source_depth=1,
        description="",
        collection="Rijksmuseum",
        visibility="public",
        slug="birds",
        root_taxon_qid="Q5113",
    )
    title: str
    source_kind: Literal["category", "files", "query"] = Field(
        default="category", description="What `source` is: a category's name, a list of files, or a SPARQL query."
    )
    source: str = Field(
        description="The category's name, with or without “Category:”; or M-ids and titles, one a line, up to 20,000; "
        "or a SELECT whose column `?file` holds files, or the Q-id of a collection."
    )
    source_depth: int = Field(default=0, description="How many levels of subcategories, 0 to 5.")
    description: str = ""
    collection: str = ""
    visibility: Visibility = Visibility.PUBLIC
    slug: str = Field(default="", description="Short name in addresses; made from the title when empty.")
    root_taxon_qid: str = Field(
        default="", pattern=r"^(Q[1-9][0-9]{0,11})?$", description="Only taxa within this one; empty for all."
    )


class ScopeIn(BaseModel):
    """The taxon within which a campaign stays."""

    model_config = example(root_taxon_qid="Q5113")
    root_taxon_qid: str = Field(pattern=r"^(Q[1-9][0-9]{0,11})?$", description="A Q-id; empty for all taxa.")


class CategoryIn(BaseModel):
    """The category that a campaign shall look at from now on."""

    model_config = example(source="Historia Naturalis van Rudolf II", source_depth=1)
    source: str = Field(description="The category's name, with or without “Category:”.")
    source_depth: int = Field(default=0, description="How many levels of subcategories, 0 to 5.")


class SourceIn(BaseModel):
    """The source that a campaign shall have from now on, of the kind it has."""

    model_config = example(source="M1234567\nPlate 02, RP-T-BR-2017-1-2.jpg")
    source: str = Field(description="As when the campaign is made.")
