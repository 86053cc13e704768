"""Serve the test world by hand: `python -m tests.support.standin --port 8765`, until interrupted."""

from __future__ import annotations

import argparse
import sys
import threading

from tests.support.paths import find_data_folder
from tests.support.standin.server import StandInCommons
from tests.support.standin.worlds import ROOT, plates_world


def main() -> int:
    """Serve `plates_world` on 127.0.0.1; 1 if there are no plates to serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.standin", description=__doc__)
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--per-class", type=int, default=24, help="photographs of each butterfly, 1 to 60")
    options = parser.parse_args()
    data = find_data_folder()
    if data is None:
        print("No test plates: set ICONES_TEST_DATA to the folder that holds plates/ and photos/.", file=sys.stderr)
        return 1
    world = plates_world(data, options.per_class)
    world.add_bot_password("IconesBot", "icones", "secret")
    with StandInCommons(world, options.port) as standin:
        print(f"API    {standin.api_url}\nSPARQL {standin.sparql_url}\nOAuth  {standin.rest_url}/oauth2/authorize")
        print("Bot    IconesBot@icones, password secret")
        print(f"Begin  {standin.base_url}/wiki/Category:{ROOT.replace(' ', '_')}   (Ctrl-C ends it)", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
