"""Reads Wikimedia: categories, files and depicts statements of Commons, taxa of Wikidata, pictures; and local
folders. Writes one thing: depicts statements, for an account that was given to a `Wire`.

Plain frozen dataclasses in and out. It knows no database, no web framework and no application, and reads no
environment.
"""

from wiki_sync.answers import Outcome, OutcomeKind
from wiki_sync.bot import BotWire
from wiki_sync.changes import CategoryHeads, Changes, LogEntry, PageHead, RecentChanges, RevisionFacts
from wiki_sync.claims import DepictsClaim, Reference, claim_json, is_as_written, is_guid, new_guid
from wiki_sync.collections import CollectionFile, CollectionSource, check_query
from wiki_sync.commons import CategoryListing, Commons, category_title
from wiki_sync.config import WikiConfig
from wiki_sync.errors import (
    BadAnswerError,
    BannedError,
    CategoryNotFoundError,
    EmptyCategoryError,
    FileGoneError,
    GrantEndedError,
    HostNotAllowedError,
    ImageTooLargeError,
    NoAnswerError,
    NoServiceError,
    NotAnImageError,
    PermanentError,
    QueryRefusedError,
    SignedOutError,
    TransientError,
    WikiError,
)
from wiki_sync.folder import FolderImage, FolderListing, read_folder
from wiki_sync.images import ImageDownloads
from wiki_sync.items import ItemFacts, Items
from wiki_sync.live import LiveFiles
from wiki_sync.mediainfo import Depicts, MediaInfo
from wiki_sync.members import Members
from wiki_sync.meter import Meter, metered
from wiki_sync.oauth import Tokens, refresh_tokens
from wiki_sync.object_numbers import ObjectNumber, most_trusted
from wiki_sync.pictures import PictureFacts, picture_facts, standard_width
from wiki_sync.table import FolderProblemsError, Problem
from wiki_sync.taxa import NameMatch, TaxonSource
from wiki_sync.taxon import TaxonFacts, TaxonName
from wiki_sync.templates import may_edit
from wiki_sync.wikifile import WikiFile
from wiki_sync.wire import PersonWire, Wire, WireAnswer
from wiki_sync.writing import LiveFile, Writer

__all__ = [
    "BadAnswerError",
    "BannedError",
    "BotWire",
    "CategoryHeads",
    "CategoryListing",
    "CategoryNotFoundError",
    "Changes",
    "CollectionFile",
    "CollectionSource",
    "Commons",
    "Depicts",
    "DepictsClaim",
    "EmptyCategoryError",
    "FileGoneError",
    "FolderImage",
    "FolderListing",
    "FolderProblemsError",
    "GrantEndedError",
    "HostNotAllowedError",
    "ImageDownloads",
    "ImageTooLargeError",
    "ItemFacts",
    "Items",
    "LiveFile",
    "LiveFiles",
    "LogEntry",
    "MediaInfo",
    "Members",
    "Meter",
    "NameMatch",
    "NoAnswerError",
    "NoServiceError",
    "NotAnImageError",
    "ObjectNumber",
    "Outcome",
    "OutcomeKind",
    "PageHead",
    "PermanentError",
    "PersonWire",
    "PictureFacts",
    "Problem",
    "QueryRefusedError",
    "RecentChanges",
    "Reference",
    "RevisionFacts",
    "SignedOutError",
    "TaxonFacts",
    "TaxonName",
    "TaxonSource",
    "Tokens",
    "TransientError",
    "WikiConfig",
    "WikiError",
    "WikiFile",
    "Wire",
    "WireAnswer",
    "Writer",
    "category_title",
    "check_query",
    "claim_json",
    "is_as_written",
    "is_guid",
    "may_edit",
    "metered",
    "most_trusted",
    "new_guid",
    "picture_facts",
    "read_folder",
    "refresh_tokens",
    "standard_width",
]
