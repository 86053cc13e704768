"""The taxa job against the stand-in Wikidata, on both databases: scopes, renewals, merges, and a kill in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from icones.cli import app as cli
from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.errors import ConflictError
from icones.identifications import queries as identifications
from icones.jobs import queries, runner
from icones.jobs import taxa as job
from icones.jobs.all import JOBS
from icones.jobs.invariants import broken
from icones.models import Campaign, DeterminationState, Identification, JobKind, JobRun, JobState, Role, Taxon
from icones.taxa import queries as taxa
from icones.taxa import service
from icones.worker import Clock
from tests.support.campaigns import ADMIRAL, FAMILY, GENUS, LADY, ROOT, WHITE, facts, figure_ids
from tests.support.commons import category_campaign, pointed_at
from tests.support.standin import StandInCommons, World
from tests.support.voices import says, somebody

OLD = "Q900000099"
"""An item that means the same as the painted lady's."""
MOTH = "Q900000098"
"""A species that no campaign has named yet."""


def wikidata() -> World:
    """A wiki that says of the small campaign's taxa what the campaign knows, and knows two more."""
    world = World()
    for one in facts():
        names = {name.language: [name.name] for name in one.names}
        world.taxa.add(one.scientific_name, one.rank or "", one.parent_qids, qid=one.qid, names=names, ids=one.ids)
    world.taxa.add("Cynthia cardui", "species", [GENUS], qid=OLD)
    world.taxa.add("Saturnia pavonia", "species", [ROOT], qid=MOTH, names={"nl": ["nachtpauwoog"]})
    return world


@pytest.fixture
def commons() -> Iterator[StandInCommons]:
    with StandInCommons(wikidata()) as server:
        yield server


@pytest.fixture
def pointed(settings: Settings, commons: StandInCommons) -> Settings:
    return pointed_at(settings, commons)


@pytest.fixture
def empty(database: Database) -> Campaign:
    """A campaign into which nothing has come; no taxon is known yet."""
    return category_campaign(database)


def wish(database: Database, campaign: Campaign, wanted: str) -> None:
    with database.writing() as session:
        job.ask_for_scope(session, session.get_one(Campaign, campaign.id), wanted, utc_now())


def carried_out(settings: Settings, database: Database) -> JobRun:
    """Carry out the one run that waits; return its row."""
    with database.reading() as session:
        (waiting,) = queries.waiting(session)
    runner.execute(settings, database, waiting.id or 0, JOBS)
    with database.reading() as session:
        return session.get_one(JobRun, waiting.id)


def asked(settings: Settings, database: Database, campaign: Campaign, **parameters: object) -> JobRun:
    with database.writing() as session:
        runner.ask(session, JobKind.TAXA, campaign, utc_now(), parameters=parameters)
    return carried_out(settings, database)


def root_of(database: Database, campaign: Campaign) -> str | None:
    with database.reading() as session:
        return session.get_one(Campaign, campaign.id).root_taxon_qid


def age(database: Database, days: float) -> None:
    """Let all taxa have been asked for so long ago."""
    with database.writing() as session:
        for row in taxa.taxa(session, taxa.all_qids(session)).values():
            row.refreshed_at = utc_now() - timedelta(days=days)


@pytest.mark.parametrize("wanted", [ROOT, "Lepidoptera"])
def test_a_scope_that_nobody_knows_yet_is_looked_up_and_brought_in(
    pointed: Settings, database: Database, empty: Campaign, wanted: str
) -> None:
    wish(database, empty, wanted)
    assert root_of(database, empty) is None
    run = carried_out(pointed, database)
    assert (run.state, run.result["members"], root_of(database, empty)) == (JobState.DONE, 7, ROOT), run.log
    with database.reading() as session:
        assert taxa.all_qids(session) == {ROOT, FAMILY, GENUS, ADMIRAL, LADY, WHITE, OLD, MOTH}
        (hit,) = service.search(session, "nachtpauwoog", "nl", ROOT)
    assert (hit.taxon.scientific_name, hit.is_outside) == ("Saturnia pavonia", False)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("Q42", "Q42 is not a taxon on Wikidata"),
        ("Lepidopterix", "no taxon called “Lepidopterix”"),
        ("Vanessa", f"several taxa on Wikidata: Q77, {GENUS}"),
    ],
)
def test_what_is_no_taxon_is_told_and_the_scope_stays(
    pointed: Settings, database: Database, commons: StandInCommons, empty: Campaign, wanted: str, words: str
) -> None:
    commons.world.taxa.add("Vanessa", "genus", qid="Q77")
    commons.world.taxa.add_label("Q42", "en", "Douglas Adams")
    wish(database, empty, wanted)
    run = carried_out(pointed, database)
    assert run.state is JobState.FAILED
    assert words in run.problem
    assert root_of(database, empty) is None


def test_a_scope_that_was_merged_is_its_target(
    pointed: Settings, database: Database, commons: StandInCommons, empty: Campaign
) -> None:
    commons.world.taxa.add("Papilionoidea", "order", qid="Q700")
    commons.world.taxa.merge("Q700", ROOT)
    wish(database, empty, "Q700")
    assert carried_out(pointed, database).state is JobState.DONE
    assert root_of(database, empty) == ROOT


def test_a_known_root_is_set_at_once_and_can_be_lifted(database: Database, campaign: Campaign) -> None:
    wish(database, campaign, "Nymphalidae")
    assert root_of(database, campaign) == FAMILY
    with database.reading() as session:
        (run,) = queries.waiting(session)
        assert (run.kind, run.parameters["root"]) == (JobKind.TAXA, "")
    wish(database, campaign, "")
    assert root_of(database, campaign) is None


def test_a_second_wish_takes_the_place_of_the_first_unless_the_run_goes_on(database: Database, empty: Campaign) -> None:
    for wanted in ("Q1", ROOT):
        wish(database, empty, wanted)
    with database.writing() as session:
        (run,) = queries.waiting(session)
        assert run.parameters["root"] == ROOT
        assert queries.claim(session, run.id or 0, utc_now())
    with pytest.raises(ConflictError, match="just now"):
        wish(database, empty, "Q2")


def test_a_scope_is_cut_where_the_setting_says_and_the_log_tells(
    pointed: Settings, database: Database, commons: StandInCommons, empty: Campaign
) -> None:
    commons.world.taxa.link(ADMIRAL, 80)
    wish(database, empty, ROOT)
    run = carried_out(pointed.model_copy(update={"scope_taxa": 3}), database)
    assert (run.result["members"], run.result["members_found"]) == (3, 7)
    assert "Of 7 taxa seen within the scope, 3 are taken up" in run.log
    with database.reading() as session:
        assert taxa.all_qids(session) == {ROOT, FAMILY, GENUS, ADMIRAL}


def test_what_is_new_in_old_taxa_comes_in_and_what_is_young_is_not_asked_for(
    pointed: Settings, database: Database, commons: StandInCommons, campaign: Campaign
) -> None:
    commons.world.taxa.rename(ADMIRAL, "Pyrameis atalanta")
    assert asked(pointed, database, campaign, which="due", scope=False).result["kept"] == 0
    age(database, 31)
    run = asked(pointed, database, campaign, which="due", scope=False)
    assert (run.state, run.result["kept"], run.result["renamed"], run.result["moved"]) == (JobState.DONE, 6, 1, 0)
    assert "Renamed: Vanessa atalanta is called Pyrameis atalanta now." in run.log
    assert asked(pointed, database, campaign, which="due", scope=False).result["kept"] == 0


def test_a_scheduled_run_is_bounded_and_the_rest_waits(
    pointed: Settings, database: Database, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "MOST_A_DAY", 4)
    monkeypatch.setattr(job, "BATCH", 3)
    age(database, 31)
    run = asked(pointed, database, campaign, which="due", scope=False)
    assert "2 more are due" in run.log
    assert asked(pointed, database, campaign, which="due", scope=False).result["kept"] == 2


def test_a_moved_taxon_renews_what_hangs_on_it(
    pointed: Settings, database: Database, commons: StandInCommons, campaign: Campaign
) -> None:
    figure = figure_ids(database, campaign)[0]
    anna, bert = somebody(database, campaign, "Anna"), somebody(database, campaign, "Bert")
    said = [says(database, anna, figure, FAMILY).identification, says(database, bert, figure, WHITE).identification]
    commons.world.taxa.move(WHITE, FAMILY)
    run = asked(pointed, database, campaign, which="all", scope=False)
    assert (run.result["moved"], run.result["decided_anew"]) == (1, 1), run.log
    with database.reading() as session:
        state = identifications.determinations(session, [figure])[figure]
        last = identifications.changes(session, figure)[-1]
        kept = [session.get_one(Identification, one.id).taxon_qid for one in said]
    assert (state.state, state.taxon_qid) == (DeterminationState.AGREED, FAMILY)
    assert (last.before, last.after) == (DeterminationState.DISPUTED, DeterminationState.AGREED)
    assert last.rule.endswith("Wikidata changed where a taxon stands.")
    assert kept == [FAMILY, WHITE]


def test_a_merged_item_brings_its_target_and_changes_no_identification(
    pointed: Settings, database: Database, commons: StandInCommons, campaign: Campaign
) -> None:
    commons.world.taxa.add("Pieris brassicae", "species", [ROOT], qid="Q700")
    figure = figure_ids(database, campaign)[0]
    cora = somebody(database, campaign, "Cora", Role.SPECIALIST)
    said = says(database, cora, figure, WHITE).identification
    commons.world.taxa.merge(WHITE, "Q700")
    run = asked(pointed, database, campaign)
    assert (run.result["merged"], run.result["decided_anew"]) == (1, 0), run.log
    assert f"Merged: {WHITE} is Q700 now." in run.log
    with database.reading() as session:
        assert session.get_one(Identification, said.id).taxon_qid == WHITE
        assert identifications.determinations(session, [figure])[figure].taxon_qid == WHITE
        shown = service.views(session, [WHITE], "en")[WHITE]
        assert session.get_one(Taxon, WHITE).scientific_name == "Pieris rapae"
    assert (shown.qid, shown.scientific_name, shown.lineage) == ("Q700", "Pieris brassicae", ("Q700", ROOT))


def test_a_chain_of_redirects_and_two_parents_come_in_right(
    pointed: Settings, database: Database, commons: StandInCommons, campaign: Campaign
) -> None:
    commons.world.taxa.add_parent(LADY, ROOT)
    commons.world.taxa.add_parent(ADMIRAL, ROOT, "Preferred")
    commons.world.taxa.add_parent(FAMILY, GENUS)
    commons.world.taxa.merge(WHITE, OLD)
    commons.world.taxa.merge(OLD, LADY)
    run = asked(pointed, database, campaign, which="all", scope=False)
    assert run.state is JobState.DONE, run.log
    with database.reading() as session:
        lines = taxa.lineages(session, [LADY, ADMIRAL, WHITE, FAMILY])
        assert session.get_one(Taxon, LADY).parent_qids == [ROOT, GENUS]
    assert lines[LADY] == (LADY, ROOT)
    assert lines[ADMIRAL] == (ADMIRAL, ROOT)
    assert lines[WHITE] == (WHITE, LADY, ROOT)
    assert lines[FAMILY] == (FAMILY, ROOT)


def test_what_is_no_taxon_any_more_is_kept_as_last_known(
    pointed: Settings, database: Database, commons: StandInCommons, campaign: Campaign
) -> None:
    figure = figure_ids(database, campaign)[0]
    cora = somebody(database, campaign, "Cora", Role.SPECIALIST)
    says(database, cora, figure, WHITE)
    commons.world.taxa.lose_name(WHITE)
    commons.world.taxa.delete(LADY)
    run = asked(pointed, database, campaign, which="all", scope=False)
    assert (run.state, run.result["gone"], run.result["decided_anew"]) == (JobState.DONE, 2, 0)
    assert f"No longer taxa on Wikidata, kept as last known: {LADY}, {WHITE}." in run.log
    with database.reading() as session:
        assert session.get_one(Taxon, WHITE).gone_at is not None
        assert service.views(session, [WHITE], "en")[WHITE].vernacular == "small white"
        assert identifications.determinations(session, [figure])[figure].state is DeterminationState.VERIFIED
    assert asked(pointed, database, campaign, which="all", scope=False).result["gone"] == 0


def test_a_service_that_knows_almost_nothing_is_not_believed(
    pointed: Settings, database: Database, commons: StandInCommons, campaign: Campaign
) -> None:
    for one in facts():
        commons.world.taxa.delete(one.qid)
    run = asked(pointed, database, campaign, which="all", scope=False)
    assert run.state is JobState.FAILED
    assert "not believed" in run.problem
    with database.reading() as session:
        assert session.get_one(Taxon, WHITE).gone_at is None


def test_the_clock_asks_for_old_taxa_and_old_scopes_once(
    pointed: Settings, database: Database, campaign: Campaign, commons: StandInCommons
) -> None:
    other = category_campaign(database)
    clock = Clock(pointed, database)
    clock.ask_for_taxa()
    with database.reading() as session:
        assert queries.waiting(session) == []
    wish(database, other, ROOT)
    assert carried_out(pointed, database).state is JobState.DONE
    age(database, 31)
    clock.ask_for_taxa()
    clock.ask_for_taxa()
    with database.reading() as session:
        (run,) = queries.waiting(session)
    assert (run.campaign_id, run.trigger, run.parameters) == (campaign.id, "schedule", {"which": "due", "scope": False})
    run = carried_out(pointed, database)
    assert (run.state, run.result["kept"]) == (JobState.DONE, 8)
    with database.writing() as session:
        brought = queries.last_with_result(session, other.id or 0, JobKind.TAXA, "members")
        assert brought is not None
        session.get_one(JobRun, brought.id).created_at = utc_now() - timedelta(days=31)
    clock.ask_for_taxa()
    with database.reading() as session:
        (run,) = queries.waiting(session)
    assert (run.campaign_id, run.parameters) == (other.id, {"which": "due", "scope": True})
    Clock(pointed.model_copy(update={"taxa_days": 0}), database).ask_for_taxa()
    with database.reading() as session:
        assert len(queries.waiting(session)) == 1


def test_the_command_asks_now(
    pointed: Settings,
    database: Database,
    commons: StandInCommons,
    campaign: Campaign,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in pointed.as_environment().items():
        monkeypatch.setenv(name, value)
    commons.world.taxa.rename(ADMIRAL, "Pyrameis atalanta")
    everything = CliRunner().invoke(cli, ["taxa", "--all", "--json"])
    assert everything.exit_code == 0, everything.output
    assert json.loads(everything.stdout.splitlines()[-1])["renamed"] == 1
    wish(database, campaign, ROOT)
    own = CliRunner().invoke(cli, ["taxa", "butterflies"])
    assert own.exit_code == 0, own.output
    assert "2 new" in own.output
    assert CliRunner().invoke(cli, ["taxa", "nowhere"]).exit_code == 1


def test_killed_in_the_middle_nothing_is_half_done(
    pointed: Settings, database: Database, commons: StandInCommons, empty: Campaign
) -> None:
    for n in range(450):
        commons.world.taxa.add(f"Vanessa species{n}", "species", [GENUS], qid=f"Q{1000 + n}")
    wish(database, empty, ROOT)
    with database.reading() as session:
        (waiting,) = queries.waiting(session)
    command = [sys.executable, "-m", "icones", "job", str(waiting.id)]
    child = subprocess.Popen(command, env=pointed.as_environment())
    end = time.monotonic() + 60
    while kept(database) < 200:
        assert time.monotonic() < end
        assert child.poll() is None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    before = kept(database)
    assert 200 <= before < 458
    with database.reading() as session:
        assert broken(session) == []
    runner.take_up_silent(database, utc_now() + runner.SILENT_AFTER + timedelta(seconds=5))
    commons.calls.clear()
    run = carried_out(pointed, database)
    assert (run.state, run.result["members"], kept(database)) == (JobState.DONE, 457, 458), run.log
    # What was kept before the kill is not asked for again: root and members, and four queries for each batch left.
    assert run.result["new"] == 458 - before
    assert commons.calls.count("sparql") < 30


def kept(database: Database) -> int:
    with database.reading() as session:
        return len(taxa.all_qids(session))
