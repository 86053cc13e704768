"""Taxa as they are kept over the years, on both databases: named, moved, merged, gone, and always found."""

import csv
import io
import threading
import time
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from icones.clock import utc_now
from icones.db import Database
from icones.exports import service as exports
from icones.identifications import queries as identifications
from icones.jobs.taxa import keep_taxa
from icones.learning import labels
from icones.learning import queries as learning_queries
from icones.learning import service as learning
from icones.models import Campaign, DeterminationState, Identification, Role, Taxon
from icones.taxa import queries, service
from icones.taxa.service import Kept
from tests.support.campaigns import ADMIRAL, FAMILY, GENUS, LADY, ROOT, WHITE, facts, figure_ids
from tests.support.voices import says, somebody
from wiki_sync import TaxonFacts, TaxonName

NOW = utc_now()
OLD, OTHER = "Q900000091", "Q900000092"


def fact(qid: str) -> TaxonFacts:
    """What the small campaign's taxa say of one."""
    return next(one for one in facts() if one.qid == qid)


def moved(one: TaxonFacts, *parents: str) -> TaxonFacts:
    return replace(one, parent_qid=parents[0] if parents else None, parent_qids=parents)


def species(qid: str, name: str, parent: str | None, **more: object) -> TaxonFacts:
    parents = (parent,) if parent else ()
    return TaxonFacts(qid, name, rank="species", parent_qid=parent, parent_qids=parents, **more)  # type: ignore[arg-type]


def into(qid: str, target: str) -> TaxonFacts:
    """An item that became a redirect."""
    return TaxonFacts(qid, fact(target).scientific_name, parent_qid=target, parent_qids=(target,), merged_into=target)


def keep(database: Database, *given: TaxonFacts) -> Kept:
    with database.writing() as session:
        return keep_taxa(session, given, utc_now())[0]


def line(database: Database, qid: str) -> tuple[str, ...]:
    with database.reading() as session:
        return queries.lineages(session, [qid])[qid]


def found(database: Database, text: str, root: str | None = None) -> list[str]:
    with database.reading() as session:
        return [hit.taxon.qid for hit in service.search(session, text, "en", root)]


def test_what_is_the_same_changes_nothing(database: Database, campaign: Campaign) -> None:
    with database.reading() as session:
        before = {row.id for row in queries.names(session, [ADMIRAL])}
    kept = keep(database, *facts())
    assert (kept.n, kept.new, kept.renamed, kept.moved, kept.merged) == (6, frozenset(), (), frozenset(), ())
    with database.reading() as session:
        assert {row.id for row in queries.names(session, [ADMIRAL])} == before


def test_a_renamed_taxon_shows_its_new_name_and_no_identification_changes(
    database: Database, campaign: Campaign
) -> None:
    figure = figure_ids(database, campaign)[0]
    says(database, somebody(database, campaign, "Cora", Role.SPECIALIST), figure, ADMIRAL)
    kept = keep(database, replace(fact(ADMIRAL), scientific_name="Pyrameis atalanta", synonyms=("Vanessa atalanta",)))
    assert kept.renamed == (("Vanessa atalanta", "Pyrameis atalanta"),)
    with database.reading() as session:
        assert service.views(session, [ADMIRAL], "en")[ADMIRAL].scientific_name == "Pyrameis atalanta"
        assert identifications.determinations(session, [figure])[figure].taxon_qid == ADMIRAL
        assert len(identifications.changes(session, figure)) == 1
    assert found(database, "Vanessa atalanta")[0] == ADMIRAL


def test_a_taxon_that_moved_takes_all_below_it_along(database: Database, campaign: Campaign) -> None:
    kept = keep(database, moved(fact(GENUS), ROOT))
    assert kept.moved == {GENUS, ADMIRAL, LADY}
    assert line(database, ADMIRAL) == (ADMIRAL, GENUS, ROOT)
    assert line(database, WHITE) == (WHITE, ROOT)


def test_a_child_that_came_before_its_parent_is_put_below_it(database: Database) -> None:
    keep(database, species("Q5", "Aus bus", "Q6"), species("Q4", "Aus bus cus", "Q5"))
    assert line(database, "Q4") == ("Q4", "Q5")
    kept = keep(database, species("Q6", "Aus", None))
    assert kept.moved == {"Q5", "Q4"}
    assert line(database, "Q4") == ("Q4", "Q5", "Q6")


def test_of_two_parents_the_first_known_is_followed_and_both_are_kept(database: Database) -> None:
    keep(database, species("Q6", "Aidae", None), replace(species("Q5", "Aus", None), parent_qids=("Q7", "Q6")))
    assert line(database, "Q5") == ("Q5", "Q6")
    with database.reading() as session:
        assert session.get_one(Taxon, "Q5").parent_qids == ["Q7", "Q6"]


def test_a_ring_that_closes_over_time_is_not_followed(database: Database) -> None:
    keep(database, species("Q5", "Aus", "Q6"), species("Q6", "Bus", None))
    keep(database, moved(species("Q6", "Bus", None), "Q5"))
    assert line(database, "Q5") == ("Q5", "Q6")
    assert line(database, "Q6") == ("Q6",)


def test_a_merged_taxon_stands_for_its_target(database: Database, campaign: Campaign) -> None:
    keep(database, species(OLD, "Cynthia cardui", GENUS, names=(TaxonName("en", "thistle butterfly", True),)))
    figures = figure_ids(database, campaign)
    anna, bert = somebody(database, campaign, "Anna"), somebody(database, campaign, "Bert")
    said = says(database, anna, figures[0], OLD).identification
    says(database, bert, figures[0], LADY)
    for who in (anna, bert):
        says(database, who, figures[1], OLD)
    with database.reading() as session:
        states = identifications.determinations(session, figures[:2])
    assert [states[one].state for one in figures[:2]] == [DeterminationState.DISPUTED, DeterminationState.AGREED]

    kept = keep(database, into(OLD, LADY))
    assert kept.merged == ((OLD, LADY),)
    assert kept.moved == {OLD}
    assert line(database, OLD) == (OLD, LADY, GENUS, FAMILY, ROOT)
    with database.reading() as session:
        assert service.current(session, [OLD, LADY, None, "Q404"]) == {OLD: LADY, LADY: LADY, "Q404": "Q404"}
        shown = service.views(session, [OLD], "en")[OLD]
        assert (shown.qid, shown.scientific_name, shown.vernacular) == (LADY, "Vanessa cardui", "painted lady")
        assert session.get_one(Identification, said.id).taxon_qid == OLD
        states = identifications.determinations(session, figures[:2])
        last = identifications.changes(session, figures[0])[-1]
        assert len(identifications.changes(session, figures[1])) == 1
    # The dispute is over, with a line in the history; what was agreed on says the same and stays as it was written.
    assert (states[figures[0]].state, states[figures[0]].taxon_qid) == (DeterminationState.AGREED, LADY)
    assert (last.before, last.after) == (DeterminationState.DISPUTED, DeterminationState.AGREED)
    assert last.rule.endswith("Wikidata changed where a taxon stands.")
    assert (states[figures[1]].state, states[figures[1]].taxon_qid) == (DeterminationState.AGREED, OLD)
    assert found(database, "thistle butterfly") == [LADY]
    assert found(database, "Vanessa cardui") == [LADY]
    with database.reading() as session:
        assert service.resolve(session, ["Cynthia cardui", "Vanessa cardui"]) == {
            "Cynthia cardui": LADY,
            "Vanessa cardui": LADY,
        }


def test_a_vote_on_a_merged_item_agrees_with_one_below_its_target(database: Database, campaign: Campaign) -> None:
    keep(database, species(OLD, "Pyrameis", FAMILY))
    figure = figure_ids(database, campaign)[0]
    says(database, somebody(database, campaign, "Anna"), figure, OLD)
    says(database, somebody(database, campaign, "Bert"), figure, ADMIRAL)
    keep(database, into(OLD, GENUS))
    with database.reading() as session:
        state = identifications.determinations(session, [figure])[figure]
    assert (state.state, state.taxon_qid) == (DeterminationState.AGREED, GENUS)


def test_a_merge_that_was_undone_is_undone_here(database: Database, campaign: Campaign) -> None:
    keep(database, species(OLD, "Cynthia cardui", GENUS))
    keep(database, into(OLD, LADY))
    kept = keep(database, species(OLD, "Cynthia cardui", GENUS))
    assert kept.moved == {OLD}
    assert line(database, OLD) == (OLD, GENUS, FAMILY, ROOT)
    with database.reading() as session:
        assert service.current(session, [OLD]) == {OLD: OLD}


def test_merges_of_merges_lead_to_the_end(database: Database, campaign: Campaign) -> None:
    keep(database, species(OLD, "Aus", GENUS), species(OTHER, "Bus", GENUS))
    keep(database, into(OLD, LADY))
    keep(database, replace(into(OTHER, LADY), parent_qid=OLD, parent_qids=(OLD,), merged_into=OLD))
    with database.reading() as session:
        assert service.current(session, [OTHER]) == {OTHER: LADY}
    assert line(database, OTHER) == (OTHER, OLD, LADY, GENUS, FAMILY, ROOT)


def test_exports_name_the_target_of_what_was_merged(database: Database, campaign: Campaign) -> None:
    keep(database, species(OLD, "Cynthia cardui", GENUS))
    cora = somebody(database, campaign, "Cora", Role.SPECIALIST)
    says(database, cora, figure_ids(database, campaign)[0], OLD)
    keep(database, into(OLD, LADY))
    with database.writing() as session:
        taken = exports.take(session, session.get_one(Campaign, campaign.id), None, NOW)
    (cells,) = csv.DictReader(io.StringIO(taken.content.decode("utf-8-sig")))
    assert (cells["depicted_qid"], cells["scientific_name_accepted"]) == (LADY, "Vanessa cardui")
    assert cells["vernacular_en"] == "painted lady"


def test_a_model_learns_one_class_of_what_was_merged(database: Database, campaign: Campaign) -> None:
    keep(database, species(OLD, "Cynthia cardui", GENUS))
    cora = somebody(database, campaign, "Cora", Role.SPECIALIST)
    figures = figure_ids(database, campaign)[:3]
    for figure, qid in zip(figures, (OLD, LADY, ADMIRAL), strict=True):
        says(database, cora, figure, qid)
    keep(database, into(OLD, LADY))
    with database.writing() as session:
        vector = np.full(4, 0.5, dtype=np.float32)
        waiting = learning.to_embed(session, campaign, "eye")
        learning.keep_embeddings(session, "eye", [(item, vector) for item in waiting], NOW)
        record = labels.gather(session, campaign, "eye").record
        shown = learning_queries.examples(session, campaign.id or 0, [LADY], 5)
    assert [label["taxon"] for label in record] == [LADY, LADY, ADMIRAL]
    assert [figure for figure, _ in shown[LADY]] == figures[:2]


def test_a_specialist_of_a_merged_group_keeps_their_field(database: Database, campaign: Campaign) -> None:
    keep(database, species(OLD, "Cynthia", FAMILY))
    dora = somebody(database, campaign, "Dora", Role.SPECIALIST, OLD)
    keep(database, into(OLD, GENUS))
    said = says(database, dora, figure_ids(database, campaign)[0], ADMIRAL)
    assert said.determination.state is DeterminationState.VERIFIED


def test_what_is_gone_stays_as_last_known_and_is_not_offered(database: Database, campaign: Campaign) -> None:
    later = NOW + timedelta(days=40)
    with database.writing() as session:
        assert service.mark_gone(session, [WHITE], later) == 1
        assert service.mark_gone(session, [WHITE], later + timedelta(days=30)) == 0
    with database.reading() as session:
        row = session.get_one(Taxon, WHITE)
        assert (row.gone_at, row.refreshed_at) == (later, later + timedelta(days=30))
        assert service.views(session, [WHITE], "en")[WHITE].scientific_name == "Pieris rapae"
    assert WHITE not in found(database, "Pieris rapae")
    keep(database, fact(WHITE))
    with database.reading() as session:
        assert session.get_one(Taxon, WHITE).gone_at is None
    assert found(database, "Pieris rapae")[0] == WHITE


def test_names_of_synonyms_find_the_taxon_after_those_that_bear_them(database: Database, campaign: Campaign) -> None:
    keep(database, replace(fact(ADMIRAL), synonyms=("Papilio atalanta",)), species(OTHER, "Papilio atalanta", ROOT))
    assert found(database, "Papilio atalanta")[:2] == [OTHER, ADMIRAL]
    with database.reading() as session:
        hits = service.search(session, "Papilio atalanta", "en")
        assert [hit.is_synonym for hit in hits[:2]] == [False, True]
        meant = service.the_one(hits)
        assert meant is not None
        assert meant.qid == OTHER
        assert service.resolve(session, ["Papilio atalanta"]) == {"Papilio atalanta": OTHER}
    keep(database, replace(fact(ADMIRAL), synonyms=("Papilio atalanta", "Pyrameis ammiralis")))
    with database.reading() as session:
        assert service.resolve(session, ["Pyrameis ammiralis"]) == {"Pyrameis ammiralis": ADMIRAL}


def test_the_scope_comes_first_and_what_lies_outside_is_marked(database: Database, campaign: Campaign) -> None:
    keep(database, species(OTHER, "Vanessina rapae", ROOT))
    with database.reading() as session:
        hits = service.search(session, "vaness", "en", FAMILY)
    assert [(hit.taxon.qid, hit.is_outside) for hit in hits] == [
        (GENUS, False),
        (LADY, False),
        (ADMIRAL, False),
        (OTHER, True),
    ]
    keep(database, species(OLD, "Nymphalini", ROOT), into(OLD, FAMILY))
    with database.reading() as session:
        again = service.search(session, "vaness", "en", OLD)
    assert [(hit.taxon.qid, hit.is_outside) for hit in again] == [(hit.taxon.qid, hit.is_outside) for hit in hits]


def test_the_longest_waiting_are_asked_for_first(database: Database, campaign: Campaign) -> None:
    with database.writing() as session:
        for days, qid in enumerate((LADY, WHITE, ROOT), 1):
            session.get_one(Taxon, qid).refreshed_at = NOW - timedelta(days=30 * days)
    says(database, somebody(database, campaign, "Anna"), figure_ids(database, campaign)[0], WHITE)
    with database.reading() as session:
        assert queries.oldest(session, NOW - timedelta(days=29), 9) == [ROOT, WHITE, LADY]
        assert queries.oldest(session, NOW - timedelta(days=29), 1) == [ROOT]
        assert queries.oldest(session, NOW - timedelta(days=29), 9, campaign.id) == [WHITE]
        assert queries.n_older(session, NOW - timedelta(days=29)) == 3


def test_two_that_bring_the_same_taxa_at_once_do_not_disturb_each_other(database: Database) -> None:
    problems: list[Exception] = []

    def bring() -> None:
        try:
            keep(database, *facts())
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=bring) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert line(database, ADMIRAL) == (ADMIRAL, GENUS, FAMILY, ROOT)


def test_keeping_a_batch_among_many_is_quick(database: Database) -> None:
    top = species("Q1", "Animalia", None)
    genera = [species(f"Q{n}", f"Genus{n}", "Q1") for n in range(100, 140)]
    many = [species(f"Q{n}", f"Genus species{n}", f"Q{100 + n % 40}") for n in range(10_000, 12_000)]
    keep(database, top, *genera, *many)
    began = time.perf_counter()
    kept = keep(database, top, *genera, *many[:150])
    assert time.perf_counter() - began < 2
    assert kept.moved == frozenset()


nodes = st.integers(0, 7)


@pytest.mark.parametrize("place", range(3))
def test_lineages_are_those_of_the_parents_whatever_comes_in_which_order(database: Database, place: int) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(nodes, st.lists(nodes, max_size=2, unique=True)), min_size=1, max_size=12))
    def check(given_taxa: list[tuple[int, list[int]]]) -> None:
        base = 1000 * (place + 1)
        for n, parents in given_taxa:
            above = tuple(f"Q{base + parent}" for parent in parents)
            keep(database, replace(species(f"Q{base + n}", f"Aus {n}", None), parent_qids=above))
        with database.reading() as session:
            known = queries.parents(session, [f"Q{base + n}" for n in range(8)])
            lines = queries.lineages(session, known.keys())
        for qid in known:
            wanted, step = [], qid
            while step in known and step not in wanted:
                wanted.append(step)
                step = known[step] or ""
            assert lines[qid] == tuple(wanted)

    check()
