"""One wiki for all these tests: the one that the environment names, else a stand-in. Each test leaves it as it was."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.real_wiki import Variables, Wiki, served
from wiki_sync import BotWire, PersonWire, Writer


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark all tests of this folder, so that `-m live` picks them; on a real wiki they share files, so they stay
    in one process."""
    here = Path(__file__).parent
    together = config.pluginmanager.hasplugin("xdist") and Variables(os.environ).name_a_wiki
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.live)
            if together:
                item.add_marker(pytest.mark.xdist_group("live"))


@pytest.fixture(scope="session")
def any_wiki(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Wiki]:
    """The wiki of this run, as it is."""
    variables = Variables(os.environ)
    cache = getattr(pytestconfig, "cache", None)  # absent with `-p no:cacheprovider`
    kept = cache.mkdir("icones-oauth") if cache else None
    with ExitStack() as stack:
        if not variables.name_a_wiki:
            variables = Variables(stack.enter_context(served()))
            kept = tmp_path_factory.mktemp("oauth")
        wiki = Wiki(variables, tmp_path_factory.mktemp("wiki"), kept)
        stack.callback(wiki.close)
        yield wiki


@pytest.fixture
def wiki(any_wiki: Wiki) -> Iterator[Wiki]:
    """The wiki; when the test is over, however it ended, its files are again what they were."""
    before = any_wiki.snapshot()
    yield any_wiki
    left = any_wiki.restore(before)
    assert not left


@pytest.fixture(params=["person", "bot"])
def kind(request: pytest.FixtureRequest) -> str:
    """Who writes: a person with an access token, or a bot with a bot password."""
    return str(request.param)


@pytest.fixture
def wire(wiki: Wiki, kind: str) -> Iterator[PersonWire | BotWire]:
    with wiki.wire(kind) as made:
        yield made


@pytest.fixture
def writer(wiki: Wiki, wire: PersonWire | BotWire) -> Writer:
    return Writer(wiki.config(), wire)


@pytest.fixture
def page(wiki: Wiki) -> int:
    return wiki.files(1)[0]
