"""Serve a stand-in and print the variables that describe it, for a shell: `python -m tests.support.real_wiki`."""

from __future__ import annotations

import argparse
import shlex
import threading

from tests.support.real_wiki.serving import served


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.real_wiki", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    with served(parser.parse_args().port) as variables:
        print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("# Stopped.")


if __name__ == "__main__":
    main()
