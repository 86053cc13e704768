"""Pure rules about lineages: which of several parents is followed, and what line upwards follows from it."""

from collections.abc import Collection, Mapping, Sequence

Parents = Mapping[str, str | None]
"""For each Q-id the parent that is followed; None for a root."""


def choose_parents(wanted: Mapping[str, Sequence[str]], known: Parents, first: Collection[str] = ()) -> Parents:
    """Return for each taxon of ``wanted`` which of its parents, best first, is followed.

    The first one that is in ``wanted`` or ``known`` and does not lead back to the taxon is taken; else the first that
    nobody knows yet, so that the line closes when it arrives; else none. Taxa choose in the order of their numbers,
    those in ``first`` before all others, so the result does not depend on the order of ``wanted``.
    """
    chosen: dict[str, str | None] = {}
    for qid in sorted(wanted, key=lambda one: (one not in first, int(one[1:]))):
        others = [parent for parent in wanted[qid] if parent != qid]
        here = [parent for parent in others if parent in wanted or parent in known]
        away = [parent for parent in others if parent not in here]
        fit = (parent for parent in here if not _leads_to(parent, qid, chosen, wanted, known))
        chosen[qid] = next(fit, away[0] if away else None)
    return chosen


def _leads_to(start: str, goal: str, chosen: Parents, wanted: Collection[str], known: Parents) -> bool:
    at: str | None = start
    seen: set[str] = set()
    while at is not None and at != goal and at not in seen:
        seen.add(at)
        at = chosen.get(at) if at in wanted else known.get(at)
    return at == goal


def lines_of(parents: Parents, above: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the lineage of each taxon of ``parents``: itself first, then all above it.

    ``above`` holds the lineages of the taxa outside ``parents`` to which they lead; a taxon in neither ends the line,
    and so does one that stands in it already.
    """
    lines: dict[str, tuple[str, ...]] = {}
    for qid in parents:
        line: dict[str, None] = {}
        step: str | None = qid
        while step is not None and step in parents and step not in line:
            line[step] = None
            step = parents[step]
        if step is not None and step not in line:
            line |= dict.fromkeys(above.get(step, ()))
        lines[qid] = tuple(line)
    return lines
