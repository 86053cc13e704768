"""The errors of the library, each with a message that a curator can read.

They carry no HTTP status and no exit code: what they mean to a page or a command is decided by the caller.
"""

from __future__ import annotations


class LearningError(Exception):
    """Anything that this library refuses to do, said in plain words."""


class NotEnoughDataError(LearningError):
    """There are too few labelled figures, or too few taxa among them, to learn from."""


class NotFittedError(LearningError):
    """A head was asked to predict before it was fitted."""


class ArtifactError(LearningError):
    """A stored model, index or weights file is missing, damaged, or of another version."""


class ImageError(LearningError, ValueError):
    """An image or a box in it cannot be used; also a ValueError, as the box comes from outside."""


class TaxonomyError(LearningError, ValueError):
    """The tree of taxa is not a tree: somewhere a taxon is its own ancestor."""
