"""The documentation names what there is: settings, commands, columns, jobs."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from icones.cli import app
from icones.config import Settings
from icones.exports.csv_form import COLUMNS
from icones.models import JobKind

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = [f"ICONES_{name.upper()}" for name in Settings.model_fields]
COMMANDS = (
    *("serve", "worker", "migrate", "check", "demo", "sync", "taxa", "import", "names", "embed"),
    *("train", "predict", "similar", "identify", "export", "backup", "restore"),
)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_described(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs/settings.md").read_text("utf-8")
    assert f"{name}=" in (ROOT / ".env.example").read_text("utf-8")


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_of_exports_is_described(column: str) -> None:
    assert f"`{column}`" in (ROOT / "docs/data-dictionary.md").read_text("utf-8")


@pytest.mark.parametrize(
    "command",
    [
        *COMMANDS,
        "campaign create",
        "campaign list",
        "user grant",
        "depicts allow",
        "depicts push",
        "depicts undo",
        "depicts status",
    ],
)
def test_a_command_explains_itself_and_is_documented(command: str) -> None:
    answer = CliRunner().invoke(app, [*command.split(), "--help"])
    assert answer.exit_code == 0
    assert len(answer.output) > 100
    assert f"icones {command}" in (ROOT / "docs/commands.md").read_text("utf-8")


@pytest.mark.parametrize("kind", list(JobKind))
def test_a_job_is_described(kind: JobKind) -> None:
    assert f"`{kind.value}`" in (ROOT / "docs/operators.md").read_text("utf-8")


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_measured_stands_in_the_documentation(script: Path) -> None:
    document = (ROOT / "docs/benchmarks.md").read_text("utf-8")
    for name in re.findall(r'write_section\(\s*"(\w+)"', script.read_text("utf-8")):
        told = document.partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")[0]
        assert "|---" in told, f"run: make bench B={name}"
