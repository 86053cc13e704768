"""The contract tests' wiki: any MediaWiki with WikibaseMediaInfo that the environment names, else the stand-in.

`python -m tests.support.real_wiki` serves a stand-in and prints the variables that describe it.
"""

from __future__ import annotations

from tests.support.real_wiki.gate import Gate, closed_network
from tests.support.real_wiki.hand import Hand, HandError, PageState
from tests.support.real_wiki.relay import Relay
from tests.support.real_wiki.serving import served
from tests.support.real_wiki.variables import Variables
from tests.support.real_wiki.wiki import SUMMARY, Wiki, settled

__all__ = [
    "SUMMARY",
    "Gate",
    "Hand",
    "HandError",
    "PageState",
    "Relay",
    "Variables",
    "Wiki",
    "closed_network",
    "served",
    "settled",
]
