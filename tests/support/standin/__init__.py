"""A stand-in Commons for tests: a real HTTP server on loopback that answers as the recorded wiki does.

It reads and writes (Action API, images, SPARQL, OAuth 2, bot passwords). It knows no code of the project, so that
both sides of a test are independent. `python -m tests.support.standin` serves the test world by hand.
"""

from __future__ import annotations

from tests.support.standin.calls import Call, CallLog, Faults, is_write
from tests.support.standin.rules import Block
from tests.support.standin.server import StandInCommons
from tests.support.standin.statements import Statement, depicts, in_collection, inventory_number
from tests.support.standin.taxa import Taxon, TaxonStore
from tests.support.standin.world import World
from tests.support.standin.worlds import plates_world

__all__ = [
    "Block",
    "Call",
    "CallLog",
    "Faults",
    "StandInCommons",
    "Statement",
    "Taxon",
    "TaxonStore",
    "World",
    "depicts",
    "in_collection",
    "inventory_number",
    "is_write",
    "plates_world",
]
