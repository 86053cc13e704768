"""Writing to a wiki that is busy, out of reach or does not know us any more; and good manners on the way."""

import json
import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.paths import REPOSITORY
from tests.support.place import (
    ACCOUNTS,
    AGENT,
    CAT,
    DOG,
    HOUSE,
    MISSING_ITEM,
    PASSWORD,
    SUMMARY,
    Place,
    claim_on,
    is_a_write,
    state,
    statement,
)
from tests.support.standin import StandInCommons, World
from wiki_sync import (
    BadAnswerError,
    BannedError,
    BotWire,
    NoAnswerError,
    OutcomeKind,
    PersonWire,
    SignedOutError,
    TransientError,
    Writer,
)
from wiki_sync.session import BotSession

# ---- the wiki is busy, or the way to it is bad


def test_an_old_token_is_renewed_once(writer: Writer, place: Place, standin: StandInCommons, page: int) -> None:
    standin.faults.next("api", "badtoken", where=is_a_write)
    assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.WRITTEN
    assert len(place.writes()) == 2
    standin.faults.next("api", "badtoken", times=2, where=is_a_write)
    later = writer.add(claim_on(page, DOG), SUMMARY)
    assert (later.kind, later.code, standin.faults.pending) == (OutcomeKind.LATER, "badtoken", 0)
    assert len(place.writes()) == 4
    assert writer.add(claim_on(page, DOG), SUMMARY).kind is OutcomeKind.WRITTEN


def test_the_token_is_asked_for_once(writer: Writer, place: Place, page: int) -> None:
    for qid in (CAT, DOG, HOUSE):
        writer.add(claim_on(page, qid), SUMMARY)
    assert sum(call.params.get("meta") == "tokens" for call in place.standin.calls.requests) == (
        2 if writer.account == ACCOUNTS["bot"] else 1  # the bot's other one is for signing in
    )


def test_a_wiki_that_is_behind_is_waited_for(place: Place, kind: str, standin: StandInCommons, page: int) -> None:
    config = replace(place.config, retry_max_s=60.0)
    with place.wire(kind) as wire:
        writer = place.writer(wire, config)
        standin.faults.next("api", "maxlag", times=2, where=is_a_write)
        assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.WRITTEN
        assert place.waits == [5.0, 5.0]
        standin.faults.next("api", "maxlag", times=4, where=is_a_write)
        later = writer.add(claim_on(page, DOG), SUMMARY)
        assert (later.kind, later.retry_after, standin.faults.pending) == (OutcomeKind.LATER, 5.0, 0)
        assert len(place.waits) == 5


def test_nobody_waits_who_does_not_want_to_or_would_have_to_for_long(
    writer: Writer, place: Place, standin: StandInCommons, page: int
) -> None:
    standin.faults.next("api", "maxlag", times=2, where=is_a_write)
    assert writer.add(claim_on(page), SUMMARY, wait=False).kind is OutcomeKind.LATER
    assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.LATER  # 5 s are asked for, 1 s is allowed
    assert (place.waits, len(place.writes())) == ([], 2)


@pytest.mark.parametrize(
    ("fault", "code", "wait"),
    [
        ("throttled", "failed-save", None),
        ("ratelimited", "ratelimited", None),
        ("readonly", "readonly", None),
        ("429", "http-429", 7.0),
        ("429-no-retry-after", "http-429", None),
    ],
)
def test_a_busy_wiki_is_left_alone_until_later(
    writer: Writer, place: Place, standin: StandInCommons, page: int, fault: str, code: str, wait: float | None
) -> None:
    standin.faults.next("api", fault, where=is_a_write, retry_after="7")
    later = writer.add(claim_on(page), SUMMARY)
    assert (later.kind, later.code, later.retry_after) == (OutcomeKind.LATER, code, wait)
    assert (len(place.writes()), place.waits) == (1, [])
    assert state(writer, page).depicts == ()


def test_an_account_over_its_limit(writer: Writer, place: Place, page: int, kind: str) -> None:
    place.world.throttle(ACCOUNTS[kind])
    later = writer.add(claim_on(page), SUMMARY)
    assert later.kind is OutcomeKind.LATER
    assert "actionthrottledtext" in later.names


LOST: dict[str, bool] = {
    "applied-then-dropped": True,
    "applied-then-502": True,
    "drop-connection": False,
    "502-html": False,
    "503-html": False,
}


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_is_unknown_and_our_statement_tells(
    writer: Writer, place: Place, standin: StandInCommons, page: int, fault: str
) -> None:
    claim = claim_on(page)
    before = state(writer, page).revision or 0
    standin.faults.next("api", fault, where=is_a_write)
    unknown = writer.add(claim, SUMMARY)
    assert (unknown.kind, unknown.revision) == (OutcomeKind.UNKNOWN, None)
    assert len(place.writes()) == 1  # never sent again by itself
    assert (statement(writer, page, claim.guid) is not None) == LOST[fault]
    found = writer.revision_of(page, before, (CAT, SUMMARY))
    assert found == (place.world.pages[page].latest.revid if LOST[fault] else None)
    again = writer.add(claim, SUMMARY)
    assert again.kind is (OutcomeKind.DUPLICATE if LOST[fault] else OutcomeKind.WRITTEN)
    assert [one.statement_id for one in state(writer, page).depicts] == [claim.guid]


@pytest.mark.parametrize("fault", ["broken-json", "empty-200", "text-200"])
def test_an_answer_that_cannot_be_read_is_unknown(
    writer: Writer, standin: StandInCommons, page: int, fault: str
) -> None:
    standin.faults.next("api", fault, where=is_a_write)
    assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.UNKNOWN


def test_a_wiki_that_hangs_is_unknown(place: Place, kind: str, standin: StandInCommons, page: int) -> None:
    config = replace(place.config, timeout_s=0.4)
    with place.wire(kind, config=config) as wire:
        writer = place.writer(wire, config)
        assert state(writer, page).exists
        standin.faults.next("api", "hang", where=is_a_write, seconds=3)
        assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.UNKNOWN
        assert len(place.writes()) == 1


def test_a_wiki_that_is_not_there_was_not_written_to(place: Place, kind: str, page: int) -> None:
    with place.wire(kind) as wire:
        place.standin.stop()
        assert place.writer(wire).add(claim_on(page), SUMMARY).kind is OutcomeKind.LATER
        with pytest.raises(TransientError):
            place.writer(wire).live([page])


@pytest.mark.parametrize(("address", "sent"), [("http://127.0.0.1:9/w/api.php", False), (None, True)])
def test_a_request_that_never_left_is_told_apart(
    place: Place, standin: StandInCommons, kind: str, address: str | None, sent: bool
) -> None:
    config = replace(place.config, api_url=address or place.config.api_url)
    standin.faults.next("api", "drop-connection")
    asked = {"action": "wbsetclaim"}
    person, bot = PersonWire(config, "a.b.c"), BotSession(config)
    with person, pytest.raises(NoAnswerError) as caught:
        _ = person.ask(asked, write=True) if kind == "person" else bot.send(asked, post=True)
    bot.close()
    assert caught.value.sent is sent
    assert pickle.loads(pickle.dumps(caught.value)).sent is sent


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("403-banned", BannedError),
        ("404", BadAnswerError),
        ("broken-json", BadAnswerError),
        ("text-200", BadAnswerError),
    ],
)
def test_reads_that_make_no_sense_to_repeat(
    writer: Writer, place: Place, standin: StandInCommons, page: int, fault: str, error: type[Exception]
) -> None:
    state(writer, page)
    standin.faults.next("api", fault)
    with pytest.raises(error):
        writer.live([page])
    assert (standin.faults.pending, place.waits) == (0, [])


@pytest.mark.parametrize("fault", ["maxlag", "readonly", "429", "502-html", "drop-connection"])
def test_reads_are_tried_again(place: Place, kind: str, standin: StandInCommons, page: int, fault: str) -> None:
    config = replace(place.config, retry_max_s=60.0)
    with place.wire(kind) as wire:
        writer = place.writer(wire, config)
        state(writer, page)
        standin.faults.next("api", fault, times=3)
        assert state(writer, page).exists
        assert len(place.waits) == 3
        standin.faults.next("api", fault, times=4)
        with pytest.raises(TransientError):
            writer.live([page])
        assert standin.faults.pending == 0


def test_a_write_that_could_not_be_prepared_was_not_sent(
    writer: Writer, place: Place, standin: StandInCommons, page: int
) -> None:
    assert writer.account
    standin.faults.next("api", "502-html", times=4, where=lambda params: params.get("meta") == "tokens")
    assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.LATER
    assert place.writes() == []
    standin.faults.next("api", "403-banned", where=lambda params: params.get("meta") == "tokens")
    assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.REFUSED
    assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.WRITTEN


# ---- signed out


def test_a_person_who_took_the_grant_back_is_signed_out(place: Place, page: int) -> None:
    with place.wire("person") as wire:
        writer = place.writer(wire)
        assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.WRITTEN
        place.takes_back_the_grant()
        assert writer.add(claim_on(page, DOG), SUMMARY).kind is OutcomeKind.SIGNED_OUT
        with pytest.raises(SignedOutError):
            writer.live([page])
        with pytest.raises(SignedOutError):
            _ = place.writer(wire).account
        assert place.writer(wire).add(claim_on(page, DOG), SUMMARY).kind is OutcomeKind.SIGNED_OUT


def test_a_token_that_never_was_one(place: Place, page: int) -> None:
    with PersonWire(place.config, "not.a.token") as wire:
        assert place.writer(wire).add(claim_on(page), SUMMARY).kind is OutcomeKind.SIGNED_OUT
    for wrong in ("", "two words", "line\nbreak", "ü"):
        with pytest.raises(ValueError):
            PersonWire(place.config, wrong)


def test_a_bot_signs_in_again_when_the_wiki_lost_its_session(place: Place, page: int) -> None:
    with place.wire("bot") as wire:
        writer = place.writer(wire)
        assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.WRITTEN
        place.loses_all_sessions()
        assert writer.add(claim_on(page, DOG), SUMMARY).kind is OutcomeKind.WRITTEN
        place.loses_all_sessions()
        assert len(state(writer, page).depicts) == 2
        place.loses_all_sessions()
        place.takes_back_the_password()
        assert writer.add(claim_on(page, HOUSE), SUMMARY).kind is OutcomeKind.SIGNED_OUT
        assert len(place.world.pages[page].latest.entity["statements"]["P180"]) == 2  # type: ignore[index]


def test_a_wrong_password_is_told_without_it(place: Place, page: int) -> None:
    with BotWire(place.config, "IconesBot@icones", "wrong-password") as wire:
        writer = place.writer(wire)
        with pytest.raises(SignedOutError, match="IconesBot@icones") as caught:
            _ = writer.account
        assert "wrong-password" not in str(caught.value)
        assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.SIGNED_OUT
    for user, password in (("IconesBot", "x"), ("IconesBot@icones", "")):
        with pytest.raises(ValueError):
            BotWire(place.config, user, password)


def test_a_wiki_that_is_out_of_order_at_sign_in_was_not_written_to(place: Place, page: int) -> None:
    for fault in ("502-html", "429", "drop-connection", "readonly"):
        place.standin.faults.next("api", fault, times=4, where=lambda params: params.get("action") == "login")
        with place.wire("bot") as wire:
            assert place.writer(wire).add(claim_on(page), SUMMARY).kind is OutcomeKind.LATER
        place.standin.faults.clear()
    assert place.writes() == []


def test_an_account_with_another_name_than_ours_writes_nothing(place: Place, page: int) -> None:
    with place.wire("person") as wire:
        writer = place.writer(wire)
        assert writer.account == "Anna"
        place.world.rename_person("Anna", "Anna B")
        assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.SIGNED_OUT
        assert place.writer(wire).account == "Anna B"
        assert place.writer(wire).add(claim_on(page), SUMMARY).kind is OutcomeKind.WRITTEN


# ---- good guests


def test_wires_do_not_see_each_other_s_cookies(place: Place, page: int) -> None:
    with place.wire("bot") as one, place.wire("bot", "OtherBot") as two:
        first, second = place.writer(one), place.writer(two)
        for _ in range(2):
            assert (first.account, second.account) == ("IconesBot", "OtherBot")
            assert first.add(claim_on(page, CAT), SUMMARY).kind in (OutcomeKind.WRITTEN, OutcomeKind.DUPLICATE)
            assert second.add(claim_on(page, DOG), SUMMARY).kind in (OutcomeKind.WRITTEN, OutcomeKind.DUPLICATE)
        assert place.standin.calls.count("api") < 16  # each signed in once
    users = [one.user for one in place.world.pages[page].revisions[1:]]
    assert users == ["IconesBot", "OtherBot"]


def test_nothing_is_left_in_files_and_no_secret_in_logs(
    writer: Writer, place: Place, page: int, standin: StandInCommons, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "pywiki"):
        ends = [writer.add(claim_on(page, qid), SUMMARY) for qid in (CAT, MISSING_ITEM)]
        place.takes_back_the_password()
        place.takes_back_the_grant()
        place.loses_all_sessions()
        ends.append(writer.add(claim_on(page, DOG), SUMMARY))
        with pytest.raises(SignedOutError) as caught:
            writer.live([page])
    assert [end.kind for end in ends] == [OutcomeKind.WRITTEN, OutcomeKind.REFUSED, OutcomeKind.SIGNED_OUT]
    tokens = {call.params["token"] for call in standin.calls.requests if "token" in call.params}
    bearers = {call.headers.get("authorization", "Bearer -").partition(" ")[2] for call in standin.calls.requests}
    secrets = {PASSWORD, *tokens, *bearers} - {"-"}
    told = caplog.text + str(caught.value) + "".join(repr(end) + end.body for end in ends)
    assert len(secrets) >= 2
    assert not [secret for secret in secrets if secret in told]
    assert all(path.name == "user-config.py" for path in place.config.state_dir.rglob("*"))


class Gateway(BaseHTTPRequestHandler):
    """A gateway whose error page shows the whole request, in front of a wiki that knows one account."""

    token = "an-edit-token+\\"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        tokens = {"csrftoken": type(self).token}
        self.tell(200, json.dumps({"query": {"userinfo": {"id": 7, "name": "Anna"}, "tokens": tokens}}))

    def do_POST(self) -> None:
        posted = unquote_plus(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.tell(502, f"<pre>{self.headers['Authorization']} {posted}</pre>")

    def tell(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def gateway() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/w/api.php"
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_is_kept_of_an_answer_has_no_secret(place: Place, gateway: str) -> None:
    config = replace(place.config, api_url=gateway)
    with PersonWire(config, "an.access.token") as wire:
        end = place.writer(wire, config).add(claim_on(1), SUMMARY)
    assert (end.kind, end.code) == (OutcomeKind.UNKNOWN, "http-502")
    assert SUMMARY in end.body
    assert Gateway.token not in end.body
    assert "an.access.token" not in end.body


def test_the_token_of_nobody_is_never_written_with(place: Place, gateway: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it the wiki would take the edit, as one without an account."""
    monkeypatch.setattr(Gateway, "token", "+\\")
    config = replace(place.config, api_url=gateway)
    with PersonWire(config, "an.access.token") as wire:
        assert place.writer(wire, config).add(claim_on(1), SUMMARY).kind is OutcomeKind.SIGNED_OUT


def test_our_name_is_on_every_request(writer: Writer, place: Place, page: int) -> None:
    writer.add(claim_on(page), SUMMARY)
    assert {call.headers["user-agent"] for call in place.standin.calls.requests} == {AGENT}


def test_a_redirect_is_not_followed(writer: Writer, place: Place, standin: StandInCommons, page: int) -> None:
    with StandInCommons(World()) as elsewhere:
        standin.faults.next("api", "redirect", where=is_a_write, location=elsewhere.api_url)
        assert writer.add(claim_on(page), SUMMARY).kind is OutcomeKind.REFUSED
        assert elsewhere.calls.count() == 0


def test_a_password_goes_to_no_other_wiki(place: Place, standin: StandInCommons, page: int) -> None:
    with StandInCommons(World()) as elsewhere, place.wire("bot") as wire:
        standin.faults.next(
            "api", "redirect", where=lambda params: params.get("action") == "login", location=elsewhere.api_url
        )
        assert place.writer(wire).add(claim_on(page), SUMMARY).kind is OutcomeKind.REFUSED
        assert (standin.faults.pending, elsewhere.calls.count()) == (0, 0)


def test_one_wire_sends_one_request_at_a_time(writer: Writer, place: Place, standin: StandInCommons, page: int) -> None:
    state(writer, page)
    standin.faults.next("api", "slow", times=3, seconds=0.15)
    arrivals: list[int] = []

    def read() -> None:
        assert state(writer, page).exists
        arrivals.append(standin.calls.count("api"))

    standin.calls.clear()
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert arrivals == [1, 2, 3] or arrivals == [2, 3, 3]


SCRIPT = """
import json, os, sys
from pathlib import Path
from wiki_sync import BotWire, DepictsClaim, WikiConfig, Writer, new_guid
address, folder, user, password, *pages = sys.argv[1:]
config = WikiConfig(address, (), "IconesTest/0.1 (icones@example.org)", Path(folder), retry_wait_s=0.01)
wire = BotWire(config, user, password)
parent_said = Writer(config, wire).account
reader, writer = os.pipe()
children = []
for page in pages:
    children.append(os.fork())
    if children[-1] == 0:
        try:
            mine = Writer(config, wire)
            ends = [mine.add(DepictsClaim(new_guid(f"M{page}"), f"Q{n}"), "from a child").kind for n in range(1, 9)]
            os.write(writer, f"{json.dumps(ends)}\\n".encode())
        finally:
            os._exit(0)
still = [Writer(config, wire).live([int(page)])[int(page)].exists for page in pages * 4]
for child in children:
    os.waitpid(child, 0)
os.close(writer)
with os.fdopen(reader) as told:
    print(json.dumps([parent_said, all(still), [json.loads(line) for line in told]]))
"""


def test_bots_in_several_processes_do_not_disturb_each_other(place: Place, standin: StandInCommons) -> None:
    """Two programs that share a state folder, each with two children that took over its wire."""
    pages = [place.new_file() for _ in range(4)]
    folder = str(place.config.state_dir)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, standin.api_url, folder, f"{bot}@icones", PASSWORD, *map(str, mine)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for bot, mine in (("IconesBot", pages[:2]), ("OtherBot", pages[2:]))
    ]
    said = [json.loads(run.communicate(timeout=60)[0]) for run in runs]
    assert said == [[bot, True, [["written"] * 8] * 2] for bot in ("IconesBot", "OtherBot")]
    writers = [[one.user for one in place.world.pages[page].revisions[1:]] for page in pages]
    assert writers == [[bot] * 8 for bot in ("IconesBot", "IconesBot", "OtherBot", "OtherBot")]
    assert sum(call.params.get("action") == "login" for call in standin.calls.requests) == 2
    assert [path.name for path in place.config.state_dir.iterdir()] == ["user-config.py"]


# ---- whatever goes wrong, in whatever order


@given(plan=st.lists(st.sampled_from([*LOST, "none", "throttled", "maxlag", "slot-exists", "badtoken"]), max_size=4))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_who_reads_after_the_unknown_never_doubles_a_statement(place: Place, plan: list[str]) -> None:
    page = place.new_file()
    claim = claim_on(page)
    with place.wire("person") as wire:
        writer = place.writer(wire)
        place.standin.faults.clear()
        for fault in plan:
            if fault != "none":
                place.standin.faults.next("api", fault, where=is_a_write)
        for _ in range(len(plan) + 2):
            if statement(writer, page, claim.guid) is None:
                writer.add(claim, SUMMARY)
        assert [one.statement_id for one in state(writer, page).depicts] == [claim.guid]
    assert place.revisions(page) == 2
