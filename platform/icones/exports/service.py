"""What is done with exports: a numbered snapshot taken, and the very same bytes given again."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from icones.errors import NotFoundError
from icones.exports import csv_form, queries
from icones.identifications import queries as identifications
from icones.illustrations import queries as illustrations
from icones.models import (
    Answer,
    Campaign,
    DepictsStatement,
    Determination,
    Export,
    Figure,
    Identification,
    Illustration,
    ModelVersion,
    Person,
    Prediction,
    Role,
)
from icones.taxa import queries as taxa
from icones.taxa import service as taxon_service
from icones.taxa.service import TaxonView

ENTITY = "http://www.wikidata.org/entity/"
STATUS = {
    Answer.TAXON: "verified",
    Answer.NO_ORGANISM: "verified: no organism",
    Answer.IMAGINARY: "verified: imaginary creature",
}
BY_MODEL = "model"
"""Who verified it where no person has spoken of a figure of the row; a curator let the model do so."""


@dataclass(frozen=True)
class _Known:
    """All that the rows of one export draw on."""

    figures: dict[int, tuple[Figure, Illustration]]
    standing: dict[int, list[Identification]]
    predictions: dict[int, tuple[Prediction, ModelVersion]]
    statements: dict[int, list[DepictsStatement]]
    taxa: dict[str, TaxonView]
    dutch: dict[str, TaxonView]
    ancestors: dict[str, TaxonView]
    now_called: dict[str, str]
    """What each Q-id stands for now: items are merged, what was written down stays."""


def take(session: Session, campaign: Campaign, person: Person | None, now: datetime) -> Export:
    """Freeze the verified determinations of a campaign as its next export."""
    content, n_rows = _content(session, campaign)
    number = queries.last_number(session, campaign.id or 0) + 1
    export = Export(
        campaign_id=campaign.id or 0,
        number=number,
        filename=f"{campaign.slug}-export-{number:03d}.csv",
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        n_rows=n_rows,
        created_by=person.id if person else None,
        created_at=now,
    )
    session.add(export)
    session.flush()
    return export


def require(session: Session, campaign: Campaign, number: int) -> Export:
    """Return an export with its bytes, or say that there is none of this number."""
    export = queries.export(session, campaign.id or 0, number)
    if export is None:
        raise NotFoundError(f"This campaign has no export number {number}.")
    return export


def _content(session: Session, campaign: Campaign) -> tuple[bytes, int]:
    verified = identifications.verified(session, campaign.id or 0)
    known = _known(session, verified)
    # One row per object and taxon: several figures of one taxon on a sheet share a row.
    together: dict[tuple[int, str], list[Determination]] = defaultdict(list)
    for one in verified:
        _, illustration = known.figures[one.figure_id]
        node = known.now_called.get(one.taxon_qid or "") or (one.answer or Answer.TAXON).value
        together[illustration.id or 0, node].append(one)
    answers = Counter(key[0] for key in together)
    rows = [_row(group, known, is_alone=answers[key[0]] == 1) for key, group in together.items()]
    rows.sort(key=lambda row: (row["object_number"], row["commons_mid"], row["commons_title"], row["depicted_qid"]))
    return csv_form.write(rows), len(rows)


def _known(session: Session, verified: Sequence[Determination]) -> _Known:
    ids = [one.figure_id for one in verified]
    figures = illustrations.with_figures(session, ids)
    predictions = queries.champion_predictions(session, ids)
    statements = illustrations.statements(session, {row.id or 0 for _, row in figures.values()})
    named = [one.taxon_qid for one in verified]
    stated = [row.qid for rows in statements.values() for row in rows]
    predicted = [entry["qid"] for one, _ in predictions.values() for entry in (*one.lineage, *one.ranked)]
    now_called = taxon_service.current(session, [*named, *stated, *predicted])
    qids = {now_called[qid] for qid in named if qid}
    above = {ancestor for line in taxa.lineages(session, qids).values() for ancestor in line}
    return _Known(
        figures,
        identifications.standing(session, ids),
        predictions,
        statements,
        taxon_service.views(session, qids, "en"),
        taxon_service.views(session, qids, "nl", fallback=""),
        taxon_service.views(session, above, "en"),
        now_called,
    )


def _row(group: list[Determination], known: _Known, *, is_alone: bool) -> dict[str, str]:
    first = group[0]
    _, illustration = known.figures[first.figure_id]
    taxon = known.taxa.get(known.now_called.get(first.taxon_qid or "", ""))
    statement = _statement(known.statements.get(illustration.id or 0, []), taxon.qid if taxon else None, known)
    boxes = [figure.box for figure in (known.figures[one.figure_id][0] for one in group) if figure.box]
    name, score = _model(first, known)
    return {
        "object_number": illustration.object_number,
        "object_uri": "",
        "commons_mid": illustration.mid or "",
        "commons_title": illustration.title,
        "commons_url": illustration.page_url,
        "scientific_name_verbatim": illustration.verbatim_name,
        "prominent": "yes" if is_alone else "no",
        "region_pct": " ".join(boxes),
        "validation_status": STATUS[first.answer or Answer.TAXON],
        "n_agree": str(max(one.n_agree for one in group)),
        "n_disagree": str(max(one.n_disagree for one in group)),
        "validator_role": BY_MODEL if any(one.is_by_model for one in group) else _validator(first, known),
        "model_name": name,
        "model_score": score,
        "validated_at": max(one.decided_at for one in group).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commons_revid": str(illustration.revision or ""),
        "statement_guid": statement.statement_id if statement else "",
        "licence": illustration.licence,
        **_taxon_cells(taxon, known),
    }


def _taxon_cells(taxon: TaxonView | None, known: _Known) -> dict[str, str]:
    """Return the cells that describe the taxon; all empty for an answer that is none."""
    higher = dict.fromkeys(csv_form.RANKS, "")
    if taxon is not None:
        for qid in taxon.lineage:
            ancestor = known.ancestors.get(qid)
            if ancestor is not None and ancestor.rank in higher:
                higher[ancestor.rank] = ancestor.scientific_name
    ids = taxon.ids if taxon else {}
    english = known.taxa[taxon.qid].vernacular if taxon else ""
    dutch = known.dutch[taxon.qid].vernacular if taxon else ""
    return higher | {
        "depicted_qid": taxon.qid if taxon else "",
        "depicted_uri": ENTITY + taxon.qid if taxon else "",
        "scientific_name_accepted": taxon.scientific_name if taxon else "",
        "authorship": taxon.authorship if taxon else "",
        "rank": taxon.rank if taxon else "",
        "vernacular_nl": dutch,
        "vernacular_en": english,
        "gbif_key": ids.get("gbif", ""),
        "col_id": ids.get("col", ""),
        "nsr_id": ids.get("nsr", ""),
        "ncbi_id": ids.get("ncbi", ""),
    }


def _statement(statements: Sequence[DepictsStatement], qid: str | None, known: _Known) -> DepictsStatement | None:
    live = (row for row in statements if row.rank != "deprecated")
    return next((row for row in live if qid and known.now_called.get(row.qid or "") == qid), None)


def _validator(one: Determination, known: _Known) -> str:
    """Return the highest role among those who gave the answer that stands."""
    roles = [row.given_as for row in known.standing.get(one.figure_id, []) if one.settled_by in (None, row.person_id)]
    ranked = [role for role in (Role.CURATOR, Role.SPECIALIST, Role.VOLUNTEER) if role in roles]
    return ranked[0].value if ranked else ""


def _model(one: Determination, known: _Known) -> tuple[str, str]:
    """Return the serving model's name and the probability it gave the taxon that was verified."""
    found = known.predictions.get(one.figure_id)
    if found is None:
        return "", ""
    prediction, version = found
    chances = {known.now_called[entry["qid"]]: entry["p"] for entry in [*prediction.lineage, *prediction.ranked]}
    chance = chances.get(known.now_called.get(one.taxon_qid or "", ""))
    return f"v{version.number} {version.backbone}", "" if chance is None else f"{chance:.4f}"
