"""What each recorded answer to a write means, held against what the recordings' description says about it."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import reference_folder
from tests.support.recordings import Recording, load_recordings
from wiki_sync import Outcome, OutcomeKind
from wiki_sync.answers import MAX_BODY, classify
from wiki_sync.wire import WireAnswer, answer_of

FAMILIES = ("write-", "error-", "conflict-", "race-", "retry-")
# Reads that show the state after a write; no answers to one.
READS = ("conflict-A-after", "conflict-D-after", "retry-own-guid-after")
# What an answer has to mean: UNKNOWN are answers to actions that are never sent from here, not taken for success.
EXPECTED: dict[str, OutcomeKind] = {
    **dict.fromkeys(
        (
            "conflict-A-other-user-changed-same-statement-to-other-value-OVERWRITTEN",
            "conflict-D-other-user-added-same-value-DUPLICATED",
            "conflict-E-removing-statement-changed-meanwhile-REMOVED",
            "race-a-other-user-creates-first-statement",
            "race-setclaim-of-statement-removed-meanwhile-no-baserevid",
            "retry-own-guid-first",
            "write-abusefilter-warning-second-attempt",
            "write-anonymous-ok",
            "write-baserevid-of-file-page-when-no-entity-yet",
            "write-baserevid-zero-ignored",
            "write-createclaim-novalue",
            "write-createclaim-ok-first",
            "write-createclaim-ok-second",
            "write-createclaim-ok.fv1",
            "write-createclaim-old-baserevid-other-user",
            "write-createclaim-same-value-again",
            "write-createclaim-somevalue",
            "write-edit-claims-as-map-by-property-ok",
            "write-edit-clear-ok",
            "write-edit-own-guid-ok",
            "write-edit-remove-statement-ok",
            "write-edit-statements-key-instead-of-claims",
            "write-edit-summary-and-bot-flag-ok",
            "write-edit-two-p180-ok",
            "write-edit-with-tag-ok",
            "write-edit-without-rank-ok",
            "write-old-baserevid-only-wikitext-changed-between",
            "write-old-baserevid-other-statement-merged-same-user",
            "write-old-baserevid-other-statement-other-user",
            "write-removeclaims-ok",
            "write-setclaim-own-guid-ok",
            "write-setclaim-same-again-nochange",
            "write-setlabel-ok",
            "write-setqualifier-ok",
            "write-to-redirect-page-id-ok",
            "write-under-maxlag-threshold-ok",
            "write-value-with-id-only-ok",
            "write-value-with-numeric-id-only-ok",
            "write-setclaim-ignoreduplicate-first",
            "write-setclaim-ignoreduplicate-stale-base-1",
        ),
        OutcomeKind.WRITTEN,
    ),
    **dict.fromkeys(
        (
            "error-abusefilter-disallowed",
            "error-abusefilter-disallowed.fv1",
            "error-assertbotfailed",
            "error-edit-bad-json",
            "error-edit-guid-of-other-entity",
            "error-edit-invalid-claim",
            "error-edit-unknown-tag",
            "error-edit-without-type",
            "error-item-value-missing",
            "error-missing-parameter",
            "error-mustbeposted",
            "error-mustpostparams",
            "error-property-missing",
            "error-protectedpage",
            "error-protectedpage.plaintext",
            "error-removeclaims-malformed-guid",
            "error-removeclaims-unknown-guid",
            "error-token-missing",
            "error-unknown-action",
            "error-value-not-json",
            "error-value-wrong-type",
        ),
        OutcomeKind.REFUSED,
    ),
    **dict.fromkeys(
        ("error-abusefilter-warning-first",),
        OutcomeKind.WARNED,
    ),
    **dict.fromkeys(
        (
            "error-assertnameduserfailed",
            "error-assertuserfailed",
            "error-assertuserfailed-on-read",
            "error-missing-token-with-assert-and-no-session",
            "error-session-lost-with-assert",
        ),
        OutcomeKind.SIGNED_OUT,
    ),
    **dict.fromkeys(
        (
            "error-badtoken",
            "error-badtoken-anonymous-token-while-logged-in",
            "error-badtoken-session-lost",
            "error-badtoken.plaintext",
            "error-maxlag",
            "error-maxlag-on-read-minus-one",
            "error-maxlag.plaintext",
            "error-ratelimited",
            "error-ratelimited-action-edit",
            "error-ratelimited.plaintext",
            "error-readonly",
            "error-readonly.wbeditentity",
        ),
        OutcomeKind.LATER,
    ),
    **dict.fromkeys(
        (
            "error-baserevid-nonexistent",
            "error-baserevid-of-other-page",
            "error-editconflict",
            "error-editconflict-removing-statement-removed-meanwhile",
            "error-editconflict-statement-removed-meanwhile",
            "error-editconflict.fv1",
            "error-editconflict.plaintext",
            "error-editconflict.wbeditentity",
            "race-b-baserevid-from-before-entity-existed-createclaim",
            "race-b.plaintext",
            "race-c-baserevid-from-before-entity-existed-editentity",
            "race-d-same-value-as-other-user-with-old-baserevid",
            "race-removeclaims-of-statement-removed-meanwhile-with-baserevid",
            "race-setclaim-of-statement-removed-meanwhile-with-baserevid",
            "retry-own-guid-second-same-baserevid",
            "retry-own-guid-wbsetclaim-again-with-old-baserevid",
            "write-setclaim-ignoreduplicate-stale-base-2-error",
        ),
        OutcomeKind.REREAD,
    ),
    **dict.fromkeys(
        (
            "error-blocked",
            "error-blocked.plaintext",
        ),
        OutcomeKind.ACCOUNT_BLOCKED,
    ),
    **dict.fromkeys(
        (
            "error-edit-missing-page",
            "error-entity-missing-page",
            "error-entity-not-a-file-page",
            "error-write-to-deleted-file",
        ),
        OutcomeKind.GONE,
    ),
    **dict.fromkeys(
        (
            "retry-own-guid-third-without-baserevid",
            "write-edit-empty-data-nochange",
            "write-edit-empty-data-nochange.fv1",
        ),
        OutcomeKind.NOCHANGE,
    ),
    **dict.fromkeys(
        (
            "write-delete-file-ok",
            "write-move-file-ok",
            "write-undelete-file-ok",
            "write-undo-conflicting-revision",
            "write-undo-revision-ok",
        ),
        OutcomeKind.UNKNOWN,
    ),
    **dict.fromkeys(
        (
            "write-setclaim-ignoreduplicate-retry-same-guid",
            "write-setclaim-ignoreduplicate-other-guid-same-value",
        ),
        OutcomeKind.DUPLICATE,
    ),
}


@cache
def recorded() -> Mapping[str, Recording]:
    return load_recordings(reference_folder() / "commons-api")


def outcome(name: str, baserevid: int | None = None) -> Outcome:
    one = recorded()[name]
    text = (reference_folder() / "commons-api" / f"{name}.json").read_text(encoding="utf-8")
    return classify(answer_of(one.status, one.headers, text), baserevid)


def answer(body: Any = None, status: int = 200, text: str = "", headers: Mapping[str, str] | None = None) -> WireAnswer:
    return WireAnswer(status, headers or {}, body, text)


@pytest.mark.parametrize("name", EXPECTED)
def test_each_recorded_answer_is_understood(name: str) -> None:
    assert outcome(name).kind is EXPECTED[name]


def test_no_recorded_answer_to_a_write_is_left_out() -> None:
    names = {name for name in recorded() if name.startswith(FAMILIES)}
    assert names == set(EXPECTED) | set(READS)


@pytest.mark.parametrize("name", EXPECTED)
def test_only_what_was_written_has_a_revision(name: str) -> None:
    found = outcome(name)
    assert (found.revision is not None) == (found.kind in (OutcomeKind.WRITTEN, OutcomeKind.NOCHANGE))
    assert bool(found.code) == ("error" in recorded()[name].body or "errors" in recorded()[name].body)
    assert len(found.body) <= MAX_BODY


def test_the_revision_is_the_one_that_the_wiki_names() -> None:
    assert outcome("write-setclaim-own-guid-ok").revision == 56
    assert outcome("write-edit-own-guid-ok").revision == 57
    assert outcome("write-removeclaims-ok").revision == 55


def test_a_success_with_the_revision_that_was_there_changed_nothing() -> None:
    assert outcome("write-setclaim-same-again-nochange", baserevid=56).kind is OutcomeKind.NOCHANGE
    assert outcome("write-setclaim-same-again-nochange", baserevid=55).kind is OutcomeKind.WRITTEN


def test_a_patched_edit_says_that_somebody_was_there() -> None:
    patched = {name for name in EXPECTED if outcome(name).patched}
    assert patched == {
        "conflict-A-other-user-changed-same-statement-to-other-value-OVERWRITTEN",
        "conflict-D-other-user-added-same-value-DUPLICATED",
        "conflict-E-removing-statement-changed-meanwhile-REMOVED",
        "write-createclaim-old-baserevid-other-user",
        "write-old-baserevid-only-wikitext-changed-between",
        "write-old-baserevid-other-statement-merged-same-user",
        "write-old-baserevid-other-statement-other-user",
    }


def test_the_wiki_s_own_words_come_along() -> None:
    found = outcome("error-protectedpage")
    assert found.code == "failed-save"
    assert found.names == ("wikibase-api-failed-save", "protectedpagetext", "permissionserrors")
    assert found.info == "The save has failed."
    assert "protected to prevent editing" in found.body
    assert outcome("error-edit-unknown-tag").code == "badtags"
    assert outcome("error-maxlag").retry_after == 5.0
    assert outcome("error-protectedpage.plaintext").names == found.names


def failed_save(*names: str) -> dict[str, Any]:
    messages = [{"name": name, "parameters": [], "html": ""} for name in ("wikibase-api-failed-save", *names)]
    return {"error": {"code": "failed-save", "info": "The save has failed.", "messages": messages}}


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("autoblockedtext", "permissionserrors"), OutcomeKind.ACCOUNT_BLOCKED),
        (("blockedtext-partial",), OutcomeKind.ACCOUNT_BLOCKED),
        (("globalblocking-blockedtext-user",), OutcomeKind.ACCOUNT_BLOCKED),
        (("wikimedia-globalblocking-blockedtext-ip",), OutcomeKind.ACCOUNT_BLOCKED),
        (("edit-conflict",), OutcomeKind.REREAD),
        (("internalerror_info",), OutcomeKind.REREAD),
        (("edit-gone-missing",), OutcomeKind.REREAD),
        (("actionthrottledtext",), OutcomeKind.LATER),
        (("abusefilter-warning-links",), OutcomeKind.WARNED),
        (("abusefilter-disallowed-links",), OutcomeKind.REFUSED),
        (("badaccess-group0",), OutcomeKind.REFUSED),
        (("spam-blacklisted-link",), OutcomeKind.REFUSED),
        ((), OutcomeKind.REFUSED),
    ],
)
def test_the_cause_of_a_failed_save_is_in_its_messages(names: tuple[str, ...], kind: OutcomeKind) -> None:
    assert classify(answer(failed_save(*names))).kind is kind


def test_a_filter_with_a_message_of_its_own_is_known_by_the_header() -> None:
    header = {"mediawiki-api-error": "failed-save, abusefilter-warning"}
    assert classify(answer(failed_save("please-read-the-rules"), headers=header)).kind is OutcomeKind.WARNED
    header = {"mediawiki-api-error": "failed-save, abusefilter-disallowed"}
    assert classify(answer(failed_save("please-read-the-rules"), headers=header)).kind is OutcomeKind.REFUSED


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("blocked", OutcomeKind.ACCOUNT_BLOCKED),
        ("autoblocked", OutcomeKind.ACCOUNT_BLOCKED),
        ("mwoauth-invalid-authorization", OutcomeKind.SIGNED_OUT),
        ("mwoauth-invalid-authorization-invalid-user", OutcomeKind.SIGNED_OUT),
        ("internal_api_error_DBReadOnlyError", OutcomeKind.LATER),
        ("internal_api_error_DBQueryError", OutcomeKind.UNKNOWN),
        ("internal_api_error_TypeError", OutcomeKind.UNKNOWN),
        ("permissiondenied", OutcomeKind.REFUSED),
        ("something-new", OutcomeKind.REFUSED),
    ],
)
def test_codes_that_were_not_recorded(code: str, kind: OutcomeKind) -> None:
    assert classify(answer({"error": {"code": code, "info": "…"}})).kind is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, OutcomeKind.UNKNOWN),
        (302, OutcomeKind.REFUSED),
        (403, OutcomeKind.REFUSED),
        (404, OutcomeKind.REFUSED),
        (408, OutcomeKind.LATER),
        (413, OutcomeKind.REFUSED),
        (429, OutcomeKind.LATER),
        (500, OutcomeKind.UNKNOWN),
        (502, OutcomeKind.UNKNOWN),
        (503, OutcomeKind.UNKNOWN),
        (504, OutcomeKind.UNKNOWN),
    ],
)
def test_an_answer_that_is_not_the_wiki_s(status: int, kind: OutcomeKind) -> None:
    found = classify(answer_of(status, {"Retry-After": "7"}, "<html>" + "x" * 9000))
    assert (found.kind, found.code, found.retry_after, len(found.body)) == (kind, f"http-{status}", 7.0, MAX_BODY)


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_gateway_may_speak_json_too(status: int) -> None:
    text = f'{{"httpCode": {status}, "httpReason": "too many requests"}}'
    found = classify(answer_of(status, {}, text))
    assert found.kind is (OutcomeKind.LATER if status == 429 else OutcomeKind.UNKNOWN)


@given(st.integers(0, 400))
def test_an_answer_that_was_cut_off_is_never_taken_for_an_end(length: int) -> None:
    text = (reference_folder() / "commons-api" / "write-setclaim-own-guid-ok.json").read_text(encoding="utf-8")
    cut = text.rstrip()[: min(length, len(text.rstrip()) - 1)]
    assert classify(answer_of(200, {}, cut)).kind is OutcomeKind.UNKNOWN


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "errors", "code", "info", "messages", "name", "warnings", "success", "pageinfo"])
            | st.sampled_from(["lastrevid", "entity", "nochange", "data", "wbsetclaim", "*"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["error", "errors", "warnings", "success", "pageinfo", "entity"]), json_values))
def test_an_answer_of_any_form_is_understood_or_unknown(body: dict[str, Any]) -> None:
    found = classify(answer(body))
    if found.kind in (OutcomeKind.WRITTEN, OutcomeKind.NOCHANGE):
        assert body["success"] == 1
        assert found.revision is not None
        assert not body.get("error")


def test_an_answer_shows_no_content_when_it_is_printed() -> None:
    told = answer_of(200, {}, '{"query": {"tokens": {"csrftoken": "a-token"}}}')
    assert told.body is not None
    assert "a-token" not in repr(told)
