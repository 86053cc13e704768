"""The walls of the house, as far as no other tool watches them."""

import ast
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = [
    path
    for folder in ("platform/icones", "wiki_sync", "active_learning")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def calls(path: Path) -> list[str]:
    """Return all dotted names that a module calls or reads."""
    return [
        ast.unparse(node) for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)
    ]


def test_the_standard_librarys_platform_is_intact() -> None:
    assert platform.python_version()
    assert not (ROOT / "platform" / "__init__.py").exists()
    code = "import platform, icones; print(platform.system())"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_keeps_to_the_sizes_of_the_house(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 600
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 80, f"{node.name} is too long"


def test_only_the_database_commits() -> None:
    offenders = [str(path) for path in CODE if "session.commit" in calls(path) and path.name != "db.py"]
    assert offenders == []


def test_only_the_settings_read_the_environment() -> None:
    allowed = {"config.py", "session.py"}  # pywikibot reads its set-up from the environment at import, and only there
    offenders = [str(path) for path in CODE if "os.environ" in calls(path) and path.name not in allowed]
    assert offenders == []


def test_only_the_clock_reads_the_clock() -> None:
    known = {"clock.py", "retry.py"}  # a Retry-After date is compared with now
    offenders = [
        str(path)
        for path in CODE
        if path.name not in known and {"datetime.now", "datetime.datetime.now", "datetime.utcnow"} & set(calls(path))
    ]
    assert offenders == []


def test_nothing_is_ever_unpickled() -> None:
    asks = re.compile(r"\b(pickle|joblib|dill|cloudpickle)\.(loads?|dumps?|Unpickler)\b|weights_only\s*=\s*False")
    assert [str(path) for path in CODE if asks.search(path.read_text("utf-8"))] == []


def test_the_lock_files_hold_no_addresses() -> None:
    for name in ("package-lock.json", "constraints.txt"):
        assert "://" not in (ROOT / name).read_text("utf-8")


def test_importing_the_libraries_is_quick_and_brings_no_heavy_ones() -> None:
    code = (
        "import sys, wiki_sync, active_learning; "
        "assert not {'torch', 'torchvision', 'faiss', 'pywikibot', 'icones'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, env={"PYTHONPATH": f"{ROOT}/platform:{ROOT}"})
