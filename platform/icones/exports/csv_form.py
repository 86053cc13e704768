"""The form of an export: its columns, and how a cell is written. Pure; documented in docs/data-dictionary.md.

RFC 4180 with CRLF, UTF-8. A cell that a spreadsheet would read as a formula gets an apostrophe in front, as OWASP
advises against CSV injection; ``read_back`` takes it away again.
"""

import csv
import io
from collections.abc import Iterable, Mapping

COLUMNS = (
    "object_number",
    "object_uri",
    "commons_mid",
    "commons_title",
    "commons_url",
    "depicted_qid",
    "depicted_uri",
    "scientific_name_accepted",
    "authorship",
    "rank",
    "scientific_name_verbatim",
    "vernacular_nl",
    "vernacular_en",
    "kingdom",
    "phylum",
    "class",
    "order",
    "family",
    "gbif_key",
    "col_id",
    "nsr_id",
    "ncbi_id",
    "prominent",
    "region_pct",
    "validation_status",
    "n_agree",
    "n_disagree",
    "validator_role",
    "model_name",
    "model_score",
    "validated_at",
    "commons_revid",
    "statement_guid",
    "licence",
)
RANKS = ("kingdom", "phylum", "class", "order", "family")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def guarded(cell: str) -> str:
    """Return ``cell`` so that no spreadsheet takes it for a formula."""
    return "'" + cell if cell.startswith((*_FORMULA, "'")) else cell


def unguarded(cell: str) -> str:
    """Return what ``guarded`` was given."""
    return cell[1:] if cell.startswith("'") else cell


def write(rows: Iterable[Mapping[str, str]]) -> bytes:
    """Return the CSV with its header line; a row lacks no column and has no other (KeyError, ValueError)."""
    buffer = io.StringIO(newline="")
    table = csv.DictWriter(buffer, COLUMNS, lineterminator="\r\n")
    table.writeheader()
    for row in rows:
        if unknown := row.keys() - set(COLUMNS):
            raise ValueError(f"not a column of exports: {sorted(unknown)}")
        table.writerow({column: guarded(row[column]) for column in COLUMNS})
    return buffer.getvalue().encode("utf-8")


def read_back(content: bytes) -> list[dict[str, str]]:
    """Return the rows of an export as they were before their cells were guarded."""
    table = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
    return [{column: unguarded(cell) for column, cell in row.items()} for row in table]
