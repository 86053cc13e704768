"""The means of these tests: what names a wiki, who may be reached, where tokens come from, and that all is put back."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import pytest

from tests.support.paths import REPOSITORY
from tests.support.real_wiki import Gate, Hand, Variables, Wiki
from tests.support.real_wiki import variables as names
from tests.support.real_wiki.tokens import PersonTokens

SUBSET = "test_live_reading or test_live_oauth or (test_live_writing and (added or at_once or lost or changed or bots))"


# ---- who may be reached


def test_a_connection_leaves_this_machine_only_for_the_wiki_that_is_named() -> None:
    gate = Gate(Variables({names.API: "https://wiki.example/w/api.php"}).addresses())
    for fine in (("127.0.0.1", 9), ("::1", 9, 0, 0), "/tmp/a-socket", ("wiki.example", 443)):
        gate.check(fine)
    gate.learn("wiki.example", 443, [(2, 1, 6, "", ("192.0.2.7", 443))])
    gate.learn("other.example", 443, [(2, 1, 6, "", ("192.0.2.8", 443))])
    gate.check(("192.0.2.7", 443))
    for wrong in (("192.0.2.7", 80), ("192.0.2.8", 443), ("other.example", 443), ("wiki.example.org", 443)):
        with pytest.raises(OSError, match=r"loopback and wiki\.example:443 only"):
            gate.check(wrong)


def test_without_a_wiki_nothing_but_this_machine_is_reached() -> None:
    gate = Gate(Variables({}).addresses())
    gate.learn("wiki.example", 443, [(2, 1, 6, "", ("192.0.2.7", 443))])
    for wrong in (("wiki.example", 443), ("192.0.2.7", 443)):
        with pytest.raises(OSError, match="loopback only"):
            gate.check(wrong)


# ---- what is missing


def test_what_is_not_set_skips_the_test_and_is_named(tmp_path: Path) -> None:
    wiki = Wiki(Variables({names.API: "https://wiki.example/w/api.php"}), tmp_path, tmp_path)
    assert wiki.depicts == "P180"
    asked: Mapping[str, object] = {
        names.CATEGORY: lambda: wiki.category,
        names.ITEMS: lambda: wiki.items(1),
        names.FILES: lambda: wiki.files(1),
        names.PASSWORD: lambda: wiki.wire("bot"),
        names.USER: lambda: wiki.hand("other"),
        names.PASSWORD2: lambda: wiki.bot("other"),
        names.ACCESS_TOKEN: wiki.person.access,
        names.REFRESH_TOKEN: wiki.person.to_exchange,
    }
    for name, ask in asked.items():
        with pytest.raises(pytest.skip.Exception, match=name):
            ask()  # type: ignore[operator]
    assert wiki.snapshot() == {}


def test_nothing_set_is_the_stand_in_and_blanks_are_nothing() -> None:
    assert not Variables({"HOME": "/", names.API: "  "}).name_a_wiki
    assert Variables({names.ITEMS: "Q1"}).name_a_wiki


def test_ids_are_read_in_both_spellings_and_others_are_told() -> None:
    known = Variables({names.FILES: "M36, 37,m36,", names.ITEMS: "q5 ,Q7"})
    assert (known.files(), known.items()) == ((36, 37), ("Q5", "Q7"))
    for name, text in ((names.FILES, "File:A.jpg"), (names.ITEMS, "P5")):
        wrong = Variables({name: text})
        with pytest.raises(ValueError, match=name):
            wrong.files() if name == names.FILES else wrong.items()


# ---- the person's token


@contextmanager
def owner_only(secret: str) -> Iterator[str]:
    """An OAuth that gives its owner's token for a secret and nothing else; yields its root."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            right = form["grant_type"] == ["client_credentials"] and form["client_secret"] == [secret]
            body = b'{"token_type": "Bearer", "access_token": "a.b.c"}' if right else b'{"error": "invalid_client"}'
            self.send_response(200 if right else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/oauth2"
    server.shutdown()
    server.server_close()


def test_an_owner_only_client_gives_its_owner_s_token(tmp_path: Path) -> None:
    with owner_only("right") as root:
        client = {names.OAUTH_ROOT: root, names.CLIENT_ID: "c", names.CLIENT_SECRET: "right"}
        assert PersonTokens(Variables(client), tmp_path).access() == "a.b.c"
        with pytest.raises(pytest.skip.Exception, match="invalid_client"):
            PersonTokens(Variables({**client, names.CLIENT_SECRET: "wrong"}), tmp_path).access()


def test_exchanged_tokens_are_kept_for_the_next_run_with_the_same_variables(tmp_path: Path) -> None:
    client = {names.OAUTH_ROOT: "http://127.0.0.1:9/o", names.CLIENT_ID: "c", names.CLIENT_SECRET: "s"}
    given = {names.ACCESS_TOKEN: "old.a.b", names.REFRESH_TOKEN: "old-refresh"}
    PersonTokens(Variables(client | given), tmp_path).exchange("new.a.b", "new-refresh")
    (kept,) = tmp_path.iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    assert "old" not in kept.read_text()
    assert PersonTokens(Variables(given), tmp_path).access() == "new.a.b"
    other = Variables({**given, names.REFRESH_TOKEN: "another-refresh"})
    assert PersonTokens(other, tmp_path).access() == "old.a.b"


# ---- all is put back


def test_what_a_test_left_is_taken_away_and_what_it_took_is_told(wiki: Wiki, page: int) -> None:
    first, second = wiki.items(2)
    hand = wiki.hand("other")
    stood = hand.adds(page, wiki.depicts, first)
    before = wiki.snapshot()
    hand.adds(page, wiki.depicts, second)
    hand.writes_text(page, "Other words.")
    assert wiki.restore(before) == []
    now = wiki.reader.page(page)
    assert (now.wikitext, now.statements) == (before[page].wikitext, before[page].statements)
    hand.removes(stood)
    assert wiki.restore(before) == [f"M{page}: statement {stood} is gone"]


@contextmanager
def separate_standin() -> Iterator[dict[str, str]]:
    """A stand-in in a process of its own; yields the variables that it prints."""
    command = [sys.executable, "-m", "tests.support.real_wiki"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, env=_clean()) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().removeprefix("export ").strip() for _ in names.NAMES]
            yield {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}
        finally:
            process.terminate()


def _clean() -> dict[str, str]:
    """This process's environment without what would steer the other one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ICONES_", "PYTEST_"))}
    return kept | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY / "platform"), str(REPOSITORY)])}


def test_the_tests_pass_on_a_wiki_that_the_environment_names_and_leave_it_as_it_was(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "tests/contract/live", "-k", SUBSET]
    with separate_standin() as variables:
        assert set(variables) == set(names.NAMES)
        reader = Hand(variables[names.API])
        files = Variables(variables).files()
        before = reader.pages(files)
        done = subprocess.run(
            [*command, "-o", f"cache_dir={tmp_path}"],
            cwd=REPOSITORY,
            env=_clean() | variables,
            capture_output=True,
            text=True,
            timeout=200,
        )
        after = reader.pages(files)
        reader.close()
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
    assert {one.page_id: (one.wikitext, one.statements) for one in after.values()} == {
        one.page_id: (one.wikitext, one.statements) for one in before.values()
    }
    assert any(after[one].revision > before[one].revision for one in files), "the tests wrote elsewhere"
    assert variables[names.REFRESH_TOKEN] not in done.stdout
