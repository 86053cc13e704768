"""The careful decision before an edit: rules that must hold whatever stands on the file."""

from hypothesis import given
from hypothesis import strategies as st

from icones.depicts.decide import Page, Step, Wanted, decide_add, decide_remove
from icones.depicts.wording import is_only_species, stop_words, summary
from icones.models import EditState
from wiki_sync import Depicts

LEPIDOPTERA, VANESSA, ATALANTA, CARDUI, TREE = "Q1", "Q2", "Q3", "Q4", "Q5"
LINES = {
    LEPIDOPTERA: (LEPIDOPTERA,),
    VANESSA: (VANESSA, LEPIDOPTERA),
    ATALANTA: (ATALANTA, VANESSA, LEPIDOPTERA),
    CARDUI: (CARDUI, VANESSA, LEPIDOPTERA),
}
OURS = "M1$OURS"
QIDS = (LEPIDOPTERA, VANESSA, ATALANTA, CARDUI, TREE)


def said(qid: str | None, rank: str = "normal", guid: str = "M1$THEIRS", snaktype: str = "value") -> Depicts:
    return Depicts(guid, qid, snaktype, rank)


statements = st.lists(
    st.builds(
        said,
        st.sampled_from(QIDS),
        st.sampled_from(["normal", "preferred", "deprecated"]),
        st.sampled_from(["M1$A", "M1$B", "M1$C"]),
    ),
    max_size=5,
)


def decide(qid: str, *standing: Depicts, **more: bool | frozenset[str]) -> tuple[Step, EditState, str | None]:
    decision = decide_add(Wanted(OURS, qid, **more), Page(True, depicts=standing), LINES)  # type: ignore[arg-type]
    return decision.step, decision.state, decision.blocked_by


def test_an_empty_file_is_written() -> None:
    assert decide(ATALANTA)[0] is Step.WRITE


def test_the_same_taxon_is_not_said_twice() -> None:
    assert decide(ATALANTA, said(ATALANTA))[1] is EditState.ALREADY_THERE


def test_our_own_statement_is_found_again() -> None:
    assert decide(ATALANTA, said(ATALANTA, guid=OURS))[1] is EditState.DONE


def test_our_own_statement_with_another_value_is_a_conflict() -> None:
    assert decide(ATALANTA, said(CARDUI, guid=OURS))[1] is EditState.CONFLICT


def test_what_is_marked_as_wrong_is_not_repeated() -> None:
    assert decide(ATALANTA, said(ATALANTA, "deprecated"))[1] is EditState.CONFLICT
    assert decide(ATALANTA, said(ATALANTA, "deprecated", guid=OURS))[1] is EditState.CONFLICT


def test_a_narrower_taxon_blocks_and_insisting_does_not_help() -> None:
    assert decide(VANESSA, said(ATALANTA)) == (Step.END, EditState.BLOCKED, ATALANTA)
    assert decide(VANESSA, said(ATALANTA), insists=True)[1] is EditState.BLOCKED


def test_a_broader_taxon_blocks_until_a_person_insists() -> None:
    assert decide(ATALANTA, said(LEPIDOPTERA)) == (Step.END, EditState.BLOCKED, LEPIDOPTERA)
    assert decide(ATALANTA, said(LEPIDOPTERA), insists=True)[0] is Step.WRITE


def test_the_nearest_broader_taxon_is_named() -> None:
    assert decide(ATALANTA, said(LEPIDOPTERA), said(VANESSA))[2] == VANESSA


def test_a_sister_and_what_is_no_taxon_do_not_block() -> None:
    assert decide(ATALANTA, said(CARDUI), said(TREE), said(None, snaktype="somevalue"))[0] is Step.WRITE


def test_depicts_nothing_is_a_word_too() -> None:
    assert decide(ATALANTA, said(None, snaktype="novalue"))[1] is EditState.CONFLICT


def test_our_statement_on_its_way_out_does_not_block() -> None:
    assert decide(ATALANTA, said(VANESSA, guid="M1$OLD"), leaving=frozenset({"M1$OLD"}))[0] is Step.WRITE


def test_what_was_taken_away_before_needs_a_person() -> None:
    assert decide(ATALANTA, was_taken_away=True)[1] is EditState.CONFLICT
    assert decide(ATALANTA, was_taken_away=True, insists=True)[0] is Step.WRITE


def test_a_page_that_asks_for_it_is_left_alone() -> None:
    page = Page(True, asks_to_be_left=True)
    assert decide_add(Wanted(OURS, ATALANTA, insists=True), page, LINES).state is EditState.REFUSED
    assert decide_remove({"id": OURS}, True, page).state is EditState.REFUSED


def test_the_item_of_the_work_may_say_it_already() -> None:
    work = Page(True, work="Q99", said_of_work=frozenset({ATALANTA}))
    assert decide_add(Wanted(OURS, ATALANTA), work, LINES).state is EditState.ALREADY_THERE
    assert decide_add(Wanted(OURS, VANESSA), work, LINES).state is EditState.ALREADY_THERE
    assert decide_add(Wanted(OURS, CARDUI), work, LINES).step is Step.WRITE


def test_a_file_that_is_gone_or_only_points_elsewhere() -> None:
    assert decide_add(Wanted(OURS, ATALANTA), Page(False), LINES).state is EditState.REFUSED
    assert decide_add(Wanted(OURS, ATALANTA), Page(True, is_redirect=True), LINES).state is EditState.REFUSED
    assert decide_remove({"id": OURS}, True, Page(False)).state is EditState.ALREADY_THERE


def test_only_what_we_wrote_is_taken_back() -> None:
    assert decide_remove({"id": OURS}, True, Page(True)).step is Step.WRITE
    assert decide_remove({"id": OURS}, False, Page(True)).state is EditState.CONFLICT
    assert decide_remove(None, False, Page(True)).state is EditState.ALREADY_THERE


@given(st.sampled_from(QIDS), statements, st.booleans())
def test_nothing_is_written_beside_itself_or_something_narrower(
    qid: str, standing: list[Depicts], insists: bool
) -> None:
    decision = decide_add(Wanted(OURS, qid, insists), Page(True, depicts=tuple(standing)), LINES)
    live = {one.qid for one in standing if one.rank != "deprecated"}
    if decision.step is Step.WRITE:
        assert qid not in {one.qid for one in standing}
        assert not any(one != qid and qid in LINES.get(one or "", ()) for one in live)
        assert insists or not live.intersection(LINES.get(qid, ())[1:])
    else:
        assert decision.reason or decision.state is EditState.DONE


@given(st.sampled_from(QIDS), statements)
def test_the_order_of_statements_decides_nothing(qid: str, standing: list[Depicts]) -> None:
    one = decide_add(Wanted(OURS, qid), Page(True, depicts=tuple(standing)), LINES)
    other = decide_add(Wanted(OURS, qid), Page(True, depicts=tuple(reversed(standing))), LINES)
    assert one == other


@given(st.text(max_size=600), st.text(alphabet="0123456789abcdef", min_size=12, max_size=12))
def test_a_summary_fits_and_keeps_its_mark(title: str, mark: str) -> None:
    words = summary(title, mark, tool_page="Commons:Icones", editgroups="icones")
    assert len(words) <= 480
    assert f"/b/icones/{mark}|" in words
    assert words.count("[[") == words.count("]]") == 2
    assert "\n" not in words


def test_the_stop_page_stops_by_any_word() -> None:
    assert stop_words(None) == stop_words("") == stop_words(" run\n") == stop_words("<!-- write here to stop -->") == ""
    assert stop_words("<!-- x -->Please stop: wrong names. ~~~~") == "Please stop: wrong names. ~~~~"
    assert stop_words("<!-- never closed") == ""


def test_one_species_alone_is_prominent() -> None:
    assert is_only_species(1, [], "Q3")
    assert is_only_species(1, ["Q3"], "Q3")
    assert not is_only_species(2, [], "Q3")
    assert not is_only_species(1, ["Q4"], "Q3")
