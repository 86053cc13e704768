"""The drawn demo: plates of real taxa that `make demo` makes anywhere, without a network, and the facts of those taxa.

Nothing here reads the environment, the network or the database.
"""

from icones.demo.plates import (
    DemoFigure,
    DemoPlate,
    draw_frontispiece,
    draw_plate,
    drawn_taxa,
    plan_plates,
    write_plates,
)
from icones.demo.taxa import DemoTaxon, lineage, load_taxa

__all__ = [
    "DemoFigure",
    "DemoPlate",
    "DemoTaxon",
    "draw_frontispiece",
    "draw_plate",
    "drawn_taxa",
    "lineage",
    "load_taxa",
    "plan_plates",
    "write_plates",
]
