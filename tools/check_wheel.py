"""Build the wheel, install it with its dependencies in an empty environment, and serve from another folder.

What is asked of it there: `icones --version`, `icones check`, a first page with its style sheet and scripts, and the
tables made by the migrations it carries. Nothing of the checkout is on its path.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the check; exit code 1 with the reason if anything is missing."""
    folder = Path(tempfile.mkdtemp(prefix="icones-wheel-"))
    try:
        wheel = build(folder / "dist")
        python = install(folder / "venv", wheel)
        problems = serve(python, folder / "elsewhere")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(problems) or "The wheel serves from another folder.")
    return 1 if problems else 0


def build(target: Path) -> Path:
    """Return the wheel, built from the source archive as an index would get it."""
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(target), str(ROOT)], check=True, stdout=subprocess.DEVNULL
    )
    return next(target.glob("*.whl"))


def install(folder: Path, wheel: Path) -> Path:
    """Return the interpreter of a new environment that holds the wheel and what it asks for."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--constraint", str(ROOT / "constraints.txt"), str(wheel)], check=True)
    return python


def serve(python: Path, folder: Path) -> list[str]:
    """Return what is wrong with the installed wheel, tried from ``folder``."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ICONES_", "PYTHON"))}
    env = kept | {"ICONES_DATA_DIR": str(folder / "var"), "HOME": str(folder)}
    icones = [str(python), "-m", "icones"]
    for command in (["--version"], ["migrate"], ["check"], ["campaign", "list"]):
        subprocess.run([*icones, *command], cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
    server = subprocess.Popen([*icones, "serve", "--port", str(port)], cwd=folder, env=env)
    try:
        return visit(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(30)


def visit(address: str) -> list[str]:
    """Return what a first visitor would miss."""
    page = read_when_up(address + "/")
    problems = [] if "Icones" in page else ["the first page does not say Icones"]
    for path in sorted(set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page))):
        with urllib.request.urlopen(address + path, timeout=10) as answer:
            if answer.status != 200 or not answer.read(10):
                problems.append(f"{path} is missing")
    return problems


def read_when_up(address: str, seconds: float = 60) -> str:
    """Return the page at an address as soon as somebody answers there."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return str(answer.read(), "utf-8")
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


if __name__ == "__main__":
    sys.exit(main())
