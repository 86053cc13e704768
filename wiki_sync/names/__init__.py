"""Names as collections write them, and which taxa they may mean.

`clean` takes a written name apart; `NameResolver` asks Wikidata, GBIF, the Catalogue of Life and WoRMS. What is not
certain comes back as candidates for a person.
"""

from wiki_sync.names.cleaning import CleanName, Doubt, clean
from wiki_sync.names.resolver import Candidate, NameResolver, Resolution, Resolved
from wiki_sync.names.rules import Scope
from wiki_sync.names.services import GBIF_BACKBONE, NameClient, NameServices

__all__ = [
    "GBIF_BACKBONE",
    "Candidate",
    "CleanName",
    "Doubt",
    "NameClient",
    "NameResolver",
    "NameServices",
    "Resolution",
    "Resolved",
    "Scope",
    "clean",
]
