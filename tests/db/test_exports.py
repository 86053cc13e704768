"""Exports through their service, on both databases: the round trip loses nothing, the bytes never change."""

import csv
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icones.clock import utc_now
from icones.db import Database
from icones.errors import NotFoundError
from icones.exports import csv_form, service
from icones.identifications import service as identifications
from icones.identifications.service import Submission
from icones.illustrations import queries as illustrations
from icones.illustrations import service as illustration_service
from icones.models import Answer, Campaign, Export, Role
from icones.people import service as people
from tests.support.campaigns import ADMIRAL, LADY, figure_ids
from tests.support.people import new_submission


def settle(database: Database, campaign: Campaign, figure: int, qid: str | None, answer: Answer = Answer.TAXON) -> None:
    with database.writing() as session:
        cora = people.arrive(session, "test:cora", "Cora", utc_now())
        people.grant(session, campaign.id or 0, cora, Role.SPECIALIST, utc_now())
        identifications.submit(session, cora, figure, Submission(new_submission(), answer, qid), utc_now())


def take(database: Database, campaign: Campaign) -> Export:
    with database.writing() as session:
        return service.take(session, campaign, None, utc_now())


def test_an_export_joins_back_to_the_object_numbers(database: Database, campaign: Campaign) -> None:
    figures = figure_ids(database, campaign)
    settle(database, campaign, figures[0], ADMIRAL)
    settle(database, campaign, figures[1], LADY)
    settle(database, campaign, figures[2], None, Answer.NO_ORGANISM)
    settle(database, campaign, figures[3], None, Answer.CANNOT_TELL)
    export = take(database, campaign)
    assert (export.number, export.n_rows) == (1, 3)
    rows = {row["object_number"]: row for row in csv_form.read_back(export.content)}
    with database.reading() as session:
        source = {row.object_number for row in illustrations.by_key(session, campaign.id or 0).values()}
    assert set(rows) <= source
    first = rows["RP-T-BR-2017-1-0"]
    assert first["depicted_qid"] == ADMIRAL
    assert first["depicted_uri"] == f"http://www.wikidata.org/entity/{ADMIRAL}"
    assert first["scientific_name_accepted"] == "Vanessa atalanta"
    assert first["authorship"] == "(Linnaeus, 1758)"
    assert (first["rank"], first["order"], first["family"], first["class"]) == (
        "species",
        "Lepidoptera",
        "Nymphalidae",
        "",
    )
    assert (first["vernacular_en"], first["vernacular_nl"]) == ("red admiral", "atalanta")
    assert (first["validation_status"], first["validator_role"]) == ("verified", "specialist")
    assert (first["n_agree"], first["n_disagree"], first["prominent"]) == ("1", "0", "yes")
    assert first["gbif_key"] == ADMIRAL[1:]
    assert rows["RP-T-BR-2017-1-2"]["validation_status"] == "verified: no organism"
    assert rows["RP-T-BR-2017-1-2"]["depicted_qid"] == ""


def test_two_figures_of_one_taxon_on_a_sheet_share_a_row_and_two_taxa_do_not(
    database: Database, campaign: Campaign
) -> None:
    figures = figure_ids(database, campaign)
    with database.writing() as session:
        row = next(iter(illustrations.with_figures(session, [figures[0]]).values()))[1]
        anna = people.arrive(session, "test:anna", "Anna", utc_now())
        same = illustration_service.add_figure(session, row.id or 0, anna, "pct:10,10,20,20", utc_now())
        other = illustration_service.add_figure(session, row.id or 0, anna, "pct:50,50,30,30", utc_now())
    settle(database, campaign, figures[0], ADMIRAL)
    settle(database, campaign, same.id or 0, ADMIRAL)
    settle(database, campaign, other.id or 0, LADY)
    rows = csv_form.read_back(take(database, campaign).content)
    found = {(row["depicted_qid"], row["region_pct"], row["prominent"]) for row in rows}
    assert found == {(ADMIRAL, "pct:10,10,20,20", "no"), (LADY, "pct:50,50,30,30", "no")}


def test_an_export_is_frozen_and_the_next_has_the_next_number(database: Database, campaign: Campaign) -> None:
    figures = figure_ids(database, campaign)
    settle(database, campaign, figures[0], ADMIRAL)
    first = take(database, campaign)
    settle(database, campaign, figures[1], LADY)
    second = take(database, campaign)
    assert (second.number, second.n_rows) == (2, 2)
    with database.reading() as session:
        again = service.require(session, campaign, 1)
        with pytest.raises(NotFoundError):
            service.require(session, campaign, 3)
    assert again.content == first.content
    assert hashlib.sha256(again.content).hexdigest() == first.sha256 == again.sha256


def test_an_empty_campaign_exports_its_header(database: Database, campaign: Campaign) -> None:
    export = take(database, campaign)
    assert export.content.decode().splitlines() == [",".join(csv_form.COLUMNS)]


def test_a_title_that_looks_like_a_formula_is_disarmed_and_comes_back(database: Database, campaign: Campaign) -> None:
    figures = figure_ids(database, campaign)
    evil = '=HYPERLINK("http://example.org";"free butterflies")'
    with database.writing() as session:
        illustrations.with_figures(session, [figures[0]])[figures[0]][1].title = evil
    settle(database, campaign, figures[0], ADMIRAL)
    export = take(database, campaign)
    raw = next(iter(csv.DictReader(io.StringIO(export.content.decode(), newline=""))))
    assert raw["commons_title"] == "'" + evil
    assert csv_form.read_back(export.content)[0]["commons_title"] == evil


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(csv_form.COLUMNS, st.text(max_size=12))), max_size=3))
def test_whatever_a_cell_holds_comes_back_and_no_cell_is_a_formula(rows: list[dict[str, str]]) -> None:
    rows = [{key: value.replace("\0", "") for key, value in row.items()} for row in rows]
    content = csv_form.write(rows)
    assert csv_form.read_back(content) == rows
    for row in csv.DictReader(io.StringIO(content.decode(), newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())
