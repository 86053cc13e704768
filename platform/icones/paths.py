"""Where files that travel with the application lie, in a checkout and in an installed wheel alike."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def bundled(name: str) -> Path:
    """Return the folder ``name`` (templates, migrations, static, locale).

    A wheel holds it inside the package; a checkout keeps it at the top level, two folders up.
    """
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parents[1] / name
