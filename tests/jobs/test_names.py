"""The names job on both databases: what is matched, what waits, what a curator said, and catalogues that are down."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import Session, select
from typer.testing import CliRunner

from icones.cli import app
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.illustrations import queries as illustrations
from icones.jobs import queries as jobs
from icones.jobs import runner
from icones.jobs.all import JOBS
from icones.jobs.folder import state_names
from icones.models import Campaign, Identification, JobKind, JobRun, JobState, NameAnswer, NameState, Role
from icones.names import queries
from icones.names import service as names
from icones.taxa import service as taxa
from tests.support.campaigns import ADMIRAL, drawing
from tests.support.commons import pointed_at
from tests.support.standin import StandInCommons
from tests.support.standin_names import Catalogue, Entry, StandInNames
from tests.support.voices import somebody
from tests.support.written_names import BIRDS, WRITTEN, names_world, point, write_names
from wiki_sync.names import Resolution


@pytest.fixture
def wiki() -> Iterator[StandInCommons]:
    with StandInCommons(names_world()) as server:
        yield server


@pytest.fixture
def others() -> Iterator[StandInNames]:
    gbif = Catalogue(
        [
            Entry("201", "Lanius minor", authorship="Gmelin, 1788", lineage=BIRDS),
            Entry("202", "Lanius italicus", authorship="Latham", status="SYNONYM", accepted="201", lineage=BIRDS),
        ]
    )
    with StandInNames(gbif) as server:
        yield server


@pytest.fixture
def pointed(settings: Settings, wiki: StandInCommons, others: StandInNames) -> Settings:
    return point(pointed_at(settings, wiki), others)


def run_names(settings: Settings, database: Database, campaign: Campaign, **parameters: bool) -> JobRun:
    with database.writing() as session:
        asked = runner.ask(session, JobKind.NAMES, campaign, utc_now(), parameters=parameters)
    runner.execute(settings, database, asked.id or 0, JOBS)
    with database.reading() as session:
        return session.get_one(JobRun, asked.id)


def known(session: Session, campaign: Campaign) -> dict[str, NameAnswer]:
    return queries.answers(session, campaign.id or 0, set(WRITTEN))


def test_names_are_matched_once_for_all_their_illustrations(
    pointed: Settings, database: Database, campaign: Campaign, others: StandInNames
) -> None:
    write_names(database, campaign)
    run = run_names(pointed, database, campaign)
    assert run.state is JobState.DONE, run.log
    assert run.result == {"asked": 4, "matched": 3, "open": 1, "waiting": 0}
    with database.reading() as session:
        rows = known(session, campaign)
        told = {name: (row.state, row.taxon_qid, row.matcher) for name, row in rows.items()}
        assert told == {
            "Lanius minor": (NameState.MATCHED, "Q21", "wikidata"),
            "Lanius rufus, Briss.": (NameState.MATCHED, "Q23", "wikidata"),
            "Lanius italicus Lath.": (NameState.MATCHED, "Q21", "gbif"),
            "Lanius cf. minor": (NameState.OPEN, None, "wikidata"),
        }
        gbif = rows["Lanius italicus Lath."]
        assert (gbif.cleaned, gbif.match_type, gbif.confidence) == ("Lanius italicus", "exact", 99)
        assert (gbif.matched_name, gbif.accepted_name) == ("Lanius italicus", "Lanius minor")
        assert gbif.version == f"v2 {pointed.gbif_checklist}"
        assert [one["qid"] for one in rows["Lanius cf. minor"].candidates] == ["Q21"]
        assert queries.n_bearing(session, campaign.id or 0, "Lanius minor") == 3
        # Search knows them now, with all above them. The folder is noted as saying so; nobody has identified a figure.
        assert taxa.search(session, "Lanius sen", "en")[0].taxon.lineage == ("Q23", "Q20", "Q13", "Q12", "Q10")
        assert session.exec(select(Identification)).all() == []
        plates = illustrations.by_key(session, campaign.id or 0)
        stated = illustrations.statements(session, [row.id or 0 for row in plates.values()])
        said = {(plates[key].verbatim_name, one.qid) for key in plates for one in stated.get(plates[key].id or 0, [])}
        assert said == {(name, row.taxon_qid) for name, row in rows.items() if row.taxon_qid}


def test_a_known_name_is_never_asked_for_again(
    pointed: Settings, database: Database, campaign: Campaign, wiki: StandInCommons, others: StandInNames
) -> None:
    write_names(database, campaign)
    run_names(pointed, database, campaign)
    wiki.calls.clear()
    others.calls.clear()
    assert run_names(pointed, database, campaign).result["asked"] == 0
    assert (wiki.calls.count("sparql"), sum(others.calls.values())) == (0, 0)
    assert run_names(pointed, database, campaign, again=True).result["asked"] == 1


def test_a_catalogue_that_is_down_fails_nothing_and_is_asked_by_the_next_run(
    pointed: Settings, database: Database, campaign: Campaign, others: StandInNames
) -> None:
    write_names(database, campaign)
    others.down("gbif")
    run = run_names(pointed, database, campaign)
    assert run.state is JobState.DONE
    assert run.result["waiting"] > 0
    assert "Not all could be asked" in run.log
    with database.reading() as session:
        row = known(session, campaign)["Lanius italicus Lath."]
        assert (row.state, row.asked_at) == (NameState.OPEN, None)
        assert row.note.startswith("GBIF did not answer")
    others.up()
    again = run_names(pointed, database, campaign)
    assert (again.result["asked"], again.result["waiting"]) == (run.result["waiting"], 0)
    with database.reading() as session:
        assert known(session, campaign)["Lanius italicus Lath."].taxon_qid == "Q21"


def test_wikidata_down_fails_nothing(
    pointed: Settings, database: Database, campaign: Campaign, wiki: StandInCommons, others: StandInNames
) -> None:
    write_names(database, campaign)
    wiki.faults.next("sparql", "502-html", times=50)
    run = run_names(pointed, database, campaign)
    assert (run.state, run.result["waiting"]) == (JobState.DONE, 4)
    assert sum(others.calls.values()) == 0


def test_a_curators_word_is_never_overwritten(pointed: Settings, database: Database, campaign: Campaign) -> None:
    write_names(database, campaign)
    run_names(pointed, database, campaign)
    dirk = somebody(database, campaign, "Dirk", Role.CURATOR)
    with database.writing() as session:
        rows = known(session, campaign)
        names.settle(session, rows["Lanius cf. minor"], dirk, "Q23", utc_now())
        names.names_no_taxon(session, rows["Lanius minor"], dirk, utc_now())
    run_names(pointed, database, campaign, again=True)
    with database.reading() as session:
        rows = known(session, campaign)
        assert (rows["Lanius cf. minor"].state, rows["Lanius cf. minor"].taxon_qid) == (NameState.SETTLED, "Q23")
        assert (rows["Lanius minor"].state, rows["Lanius minor"].taxon_qid) == (NameState.NO_TAXON, None)
        assert rows["Lanius minor"].candidates[0]["qid"] == "Q21"
        resolutions = [Resolution(verbatim=name, cleaned=name, qid="Q21", matcher="wikidata") for name in rows]
    with database.writing() as session:
        names.keep(session, campaign, resolutions, utc_now())
    with database.reading() as session:
        assert known(session, campaign)["Lanius cf. minor"].taxon_qid == "Q23"


def test_what_is_taken_back_is_asked_for_anew(pointed: Settings, database: Database, campaign: Campaign) -> None:
    write_names(database, campaign)
    run_names(pointed, database, campaign)
    dirk = somebody(database, campaign, "Dirk", Role.CURATOR)
    with database.writing() as session:
        names.settle(session, known(session, campaign)["Lanius minor"], dirk, "Q23", utc_now())
    with database.writing() as session:
        names.undo(session, known(session, campaign)["Lanius minor"])
    assert run_names(pointed, database, campaign).result["matched"] == 1
    with database.reading() as session:
        row = known(session, campaign)["Lanius minor"]
        assert (row.state, row.taxon_qid, row.settled_by) == (NameState.MATCHED, "Q21", None)


def test_the_scope_of_a_campaign_shuts_other_taxa_out(
    pointed: Settings, database: Database, campaign: Campaign
) -> None:
    write_names(database, campaign)
    with database.writing() as session:
        own = session.get_one(Campaign, campaign.id)
        own.root_taxon_qid = "Q900000000"  # the campaign's Lepidoptera
        session.add(own)
    with database.reading() as session:
        scoped = session.get_one(Campaign, campaign.id)
    run = run_names(pointed, database, scoped)
    assert run.result["matched"] == 0
    with database.reading() as session:
        assert "outside what this campaign is about" in known(session, campaign)["Lanius minor"].note


def test_an_imported_folder_asks_for_the_chain_and_the_command_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wiki: StandInCommons, others: StandInNames
) -> None:
    told = {
        "DATA_DIR": str(tmp_path / "var"),
        "SPARQL_URLS": f'["{wiki.sparql_url}"]',
        "GBIF_URL": others.gbif_url,
        "COL_URL": others.col_url,
        "WORMS_URL": others.worms_url,
        "NAMES_PAUSE_S": "0",
        "DATABASE_URL": "",
    }
    for name, value in told.items():
        monkeypatch.setenv(f"ICONES_{name}", value)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "album"
    folder.mkdir()
    lines = ["file,scientific_name"]
    for place, name in enumerate(["Lanius rufus", "Lanius rufus", "Lanius cf. minor", ""]):
        (folder / f"{place}.jpg").write_bytes(drawing(place % 3, place))
        lines.append(f"{place}.jpg,{name}")
    (tmp_path / "names.csv").write_text("\n".join(lines), encoding="utf-8")

    def icones(*words: str) -> str:
        answer = CliRunner().invoke(app, list(words))
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    icones("campaign", "create", "My album")
    assert "icones names my-album" in icones("import", "my-album", str(folder), "--table", "names.csv")
    database = Database(f"sqlite:///{tmp_path / 'var' / 'icones.sqlite'}")
    with database.reading() as session:
        (waiting,) = jobs.waiting(session)
    assert waiting.kind is JobKind.NAMES
    assert json.loads(icones("names", "my-album", "--json")) == {"asked": 2, "matched": 1, "open": 1, "waiting": 0}
    assert "0 names asked for" in icones("names", "my-album")
    with database.reading() as session:
        assert jobs.waiting(session) == []
        assert session.exec(select(NameAnswer.taxon_qid).where(NameAnswer.verbatim == "Lanius rufus")).one() == "Q23"
    database.close()


def test_what_a_curator_says_of_a_name_holds_for_what_the_folder_states(
    settings: Settings, database: Database, campaign: Campaign
) -> None:
    with database.writing() as session:
        for place, file in enumerate(illustrations.by_key(session, campaign.id or 0).values()):
            file.verbatim_name = ("Vanessa atalanta", "Admirael")[place % 2]
            session.add(file)

    def stated() -> set[tuple[str, str]]:
        with database.writing() as session:
            state_names(session, session.get_one(Campaign, campaign.id), utc_now())
            session.flush()
            rows = illustrations.by_key(session, campaign.id or 0)
            said = illustrations.statements(session, [row.id or 0 for row in rows.values()])
            return {(row.verbatim_name, one.qid or "") for row in rows.values() for one in said.get(row.id or 0, [])}

    assert stated() == {("Vanessa atalanta", ADMIRAL)}
    cora = somebody(database, campaign, "Cora", Role.CURATOR)
    with database.writing() as session:
        for name in ("Vanessa atalanta", "Admirael"):
            session.add(NameAnswer(campaign_id=campaign.id or 0, verbatim=name, created_at=utc_now()))
        session.flush()
        rows = queries.answers(session, campaign.id or 0, ["Vanessa atalanta", "Admirael"])
        names.names_no_taxon(session, rows["Vanessa atalanta"], cora, utc_now())
        names.settle(session, rows["Admirael"], cora, ADMIRAL, utc_now())
    assert stated() == {("Admirael", ADMIRAL)}
