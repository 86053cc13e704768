"""Which taxa below a root are worth knowing, when there are more than can be kept; pure, asks nobody."""

from collections.abc import Mapping
from dataclasses import dataclass

from wiki_sync.taxon import number_of


@dataclass(frozen=True)
class Below:
    """A taxon found below a root: the parent through which it was found, and how many wiki pages are about it."""

    parent: str
    links: int


@dataclass(frozen=True)
class Members:
    """Taxa below a root, the root itself left out.

    In `qids` every parent stands before its children. `n_found` are those that were seen; `is_complete` says
    that nothing was left out, neither unseen nor unchosen.
    """

    qids: tuple[str, ...]
    n_found: int
    is_complete: bool


def most_linked(found: Mapping[str, Below], root: str, limit: int) -> tuple[str, ...]:
    """Return at most `limit` of the taxa, the most-linked first served, each with all that stands between it and
    `root`; in the order of `found`, where parents come before their children.

    Of equally linked ones the lower Q-id goes first. One that does not fit together with what it needs is left out.
    """
    chosen: set[str] = set()
    for qid in sorted(found, key=lambda one: (-found[one].links, number_of(one))):
        needed = []
        step = qid
        while step != root and step not in chosen:
            needed.append(step)
            step = found[step].parent
        if len(chosen) + len(needed) <= limit:
            chosen.update(needed)
    return tuple(qid for qid in found if qid in chosen)
