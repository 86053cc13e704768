"""The history of a plate as people read it: what was said and by whom, what followed, what models thought."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from icones.identifications import queries as identifications
from icones.identifications.machine import NO_LONGER
from icones.identifications.service import MOVED
from icones.illustrations import queries as illustrations
from icones.learning import queries as learning
from icones.models import (
    DepictsStatement,
    DeterminationChange,
    DeterminationState,
    Figure,
    FileChange,
    Identification,
    Illustration,
    IllustrationChange,
    Person,
)
from icones.taxa import service as taxa
from icones.taxa.service import TaxonView
from icones.web.render import translations

Words = Callable[[str], str]


@dataclass(frozen=True)
class Event:
    """One line of the history (see macros/history.html)."""

    kind: str
    at: datetime
    words: str
    who: str = ""
    role: str | None = None
    answer: str | None = None
    taxon: TaxonView | None = None
    p: float | None = None
    state: str | None = None
    comment: str = ""
    ended: bool = False


def chronicle(
    session: Session,
    row: Illustration,
    figures: Sequence[Figure],
    reader: Person | None,
    language: str,
    *,
    with_source: bool = True,
) -> tuple[Event, ...]:
    """Return the history of these figures of a plate, oldest first, in a constant number of queries.

    Without figures it is the file's alone; ``with_source`` tells what the source said the plate depicts.
    """
    _ = translations(language).ugettext
    ids = [figure.id or 0 for figure in figures]
    said, changed = identifications.history(session, ids)
    predicted = [pair for pairs in learning.predictions_by_version(session, ids).values() for pair in pairs]
    stated = illustrations.all_statements(session, [row.id or 0]).get(row.id or 0, []) if with_source else []
    qids = {one.taxon_qid for one, _person in said} | {one.taxon_qid for one in changed}
    qids |= {one.ranked[0]["qid"] for one, _version in predicted if one.ranked} | {one.qid for one in stated}
    names = taxa.views(session, {qid for qid in qids if qid}, language)
    events = [Event("imported", row.added_at, _("Came into this campaign."))]
    events += [_of_file(one, _) for one in illustrations.file_changes(session, row.id or 0)]
    for statement in stated:
        events += _of_statement(statement, names, _)
    events += [_of_identification(one, person, names, reader, _) for one, person in said]
    events += [_of_change(one, names, language) for one in changed]
    for one, version in predicted:
        if one.ranked:
            words = _("Model version %(n)s suggested") % {"n": version.number}
            best = one.ranked[0]
            events.append(
                Event("prediction", one.created_at, words, answer="taxon", taxon=names.get(best["qid"]), p=best["p"])
            )
    # What happened in one transaction has one time: first what was said, then what followed from it.
    return tuple(sorted(events, key=lambda event: (event.at, event.kind == "determination")))


def _of_file(row: IllustrationChange, _: Words) -> Event:
    words = {
        FileChange.RENAMED: _("The file was renamed; before, it was called “%(before)s”."),
        FileChange.REPLACED: _("Another image was uploaded over the file."),
        FileChange.OBJECT_NUMBER: _("The object number changed from “%(before)s” to “%(after)s”."),
        FileChange.LICENCE: _("The licence changed from “%(before)s” to “%(after)s”."),
        FileChange.GONE: _("The file left the source of this campaign."),
        FileChange.BACK: _("The file is back in the source of this campaign."),
    }[row.kind]
    told = words % {"before": row.before or "–", "after": row.after or "–"}
    return Event("comment", row.at, told, comment=row.reason)


def _of_statement(row: DepictsStatement, names: dict[str, TaxonView], _: Words) -> list[Event]:
    if row.qid not in names or row.rank == "deprecated":
        return []
    gone = row.gone_at is not None
    told = [
        Event(
            "depicts",
            row.first_seen_at,
            _("The source said it depicts"),
            answer="taxon",
            taxon=names[row.qid],
            ended=gone,
        )
    ]
    if row.gone_at is not None:
        told.append(
            Event("depicts", row.gone_at, _("The source no longer says so."), answer="taxon", taxon=names[row.qid])
        )
    return told


def _of_identification(
    row: Identification, person: Person, names: dict[str, TaxonView], reader: Person | None, _: Words
) -> Event:
    named = person.named_in_exports or (reader is not None and reader.id == person.id)
    someone = {
        "volunteer": _("A volunteer said"),
        "specialist": _("A specialist said"),
        "curator": _("A curator said"),
    }[row.given_as.value]
    ended = {"withdrawn": _("(taken back)"), "superseded": _("(later said otherwise)")}
    words = [_("said") if named else someone, *([ended[row.ending.value]] if row.ending else [])]
    return Event(
        "identification",
        row.created_at,
        " ".join(words),
        who=person.name if named else "",
        role=row.given_as.value,
        answer=row.answer.value,
        taxon=names.get(row.taxon_qid or ""),
        comment=row.comment,
        ended=row.ended_at is not None,
    )


def _of_change(row: DeterminationChange, names: dict[str, TaxonView], language: str) -> Event:
    return Event(
        "determination",
        row.at,
        rule_words(row.rule, language) or _without_rule(row, language),
        answer=row.answer.value if row.answer else None,
        taxon=names.get(row.taxon_qid or ""),
        state=row.after.value,
    )


def _without_rule(row: DeterminationChange, language: str) -> str:
    _ = translations(language).ugettext
    return _("It waits for names.") if row.after is DeterminationState.OPEN else _("The model has looked at it.")


def N_(text: str) -> str:  # noqa: N802 (the name that extraction of texts knows)
    """Mark a text for translation later."""
    return text


RULES = (
    (
        re.compile(r"(?P<n>\d+) people gave answers that cannot all be true\."),
        N_("%(n)s people gave answers that cannot all be true."),
    ),
    (re.compile(r"(?P<n>\d+) people looked and could not tell\."), N_("%(n)s people looked and could not tell.")),
    (
        re.compile(r"(?P<favour>\d+) of (?P<all>\d+) agree \(asked for: (?P<quorum>\d+) people, (?P<share>\d+)%\)\."),
        N_("%(favour)s of %(all)s agree (asked for: %(quorum)s people, %(share)s per cent)."),
    ),
    (
        re.compile(r"(?P<favour>\d+) of (?P<all>\d+) agree so far; what it is more exactly is disputed\."),
        N_("%(favour)s of %(all)s agree so far; what it is more exactly is disputed."),
    ),
    (re.compile(r"A specialist looked and could not tell\."), N_("A specialist looked and could not tell.")),
    (
        re.compile(r"Specialists gave answers that cannot all be true\."),
        N_("Specialists gave answers that cannot all be true."),
    ),
    (re.compile(r"A specialist's word settles\."), N_("A specialist's word settles.")),
    (
        re.compile(
            r"The model alone: probability (?P<p>[\d.]+), at or above (?P<least>[\d.]+) for this taxon, "
            r"where at least (?P<share>[\d.]+) % were right \(version (?P<n>\d+)\); turned on by a curator\."
        ),
        N_(
            "The model alone: probability %(p)s, at or above %(least)s for this taxon, where at least %(share)s per "
            "cent were right (version %(n)s); turned on by a curator."
        ),
    ),
    (re.compile(re.escape(NO_LONGER)), N_("The model's word alone no longer counts.")),
)
"""The sentences in which consensus gives its reasons: kept in English, read in the reader's language."""


def rule_words(rule: str, language: str) -> str:
    """Return the reason of a determination in the reader's language; a sentence that is not known, as it stands."""
    if rule.endswith(MOVED):
        moved = translations(language).ugettext(N_("Wikidata changed where a taxon stands."))
        return f"{rule_words(rule.removesuffix(MOVED).strip(), language)} {moved}".strip()
    for pattern, text in RULES:
        if found := pattern.fullmatch(rule):
            return translations(language).ugettext(text) % found.groupdict()
    return rule
