"""Stand-ins for GBIF, the Catalogue of Life and WoRMS: one real HTTP server on loopback that answers in their shapes.

It knows no code of the project, so that both sides of a test are independent.
"""

from tests.support.standin_names.catalogue import Catalogue, Entry, gbif_usages
from tests.support.standin_names.server import StandInNames

__all__ = ["Catalogue", "Entry", "StandInNames", "gbif_usages"]
