"""Write constraints.txt: the exact versions of what is installed, by name, without any download address."""

import re
import subprocess
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "constraints.txt"
HEAD = (
    "# The versions that the tests passed with. Made by `make constraints`; names only, so any index can serve them.\n"
)


def main() -> None:
    """Freeze the environment of this interpreter."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "freeze", "--exclude-editable"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    pins = [re.sub(r" @ .*", "", line) for line in listed if "==" in line and " @ " not in line]
    # The local part of a version (+cpu, +cu130) names a build that only some machines can get.
    TARGET.write_text(HEAD + "\n".join(re.sub(r"\+.*", "", pin) for pin in sorted(pins, key=str.lower)) + "\n")
    print(f"{len(pins)} versions pinned in {TARGET.name}")


if __name__ == "__main__":
    main()
