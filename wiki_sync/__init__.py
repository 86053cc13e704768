"""Reads Wikimedia: categories, files and depicts statements of Commons, taxa of Wikidata, pictures; and local
folders.

Plain frozen dataclasses in and out. It knows no database, no web framework and no application; it reads no
environment, asks for no sign-in and writes nothing to any wiki.
"""

from wiki_sync.commons import CategoryListing, Commons, category_title
from wiki_sync.config import WikiConfig
from wiki_sync.errors import (
    BadAnswerError,
    BannedError,
    CategoryNotFoundError,
    EmptyCategoryError,
    FileGoneError,
    HostNotAllowedError,
    ImageTooLargeError,
    NotAnImageError,
    PermanentError,
    QueryRefusedError,
    TransientError,
    WikiError,
)
from wiki_sync.folder import FolderImage, FolderListing, read_folder
from wiki_sync.images import ImageDownloads
from wiki_sync.mediainfo import Depicts, MediaInfo
from wiki_sync.object_numbers import ObjectNumber, most_trusted
from wiki_sync.pictures import PictureFacts, picture_facts
from wiki_sync.table import FolderProblemsError, Problem
from wiki_sync.taxa import NameMatch, TaxonSource
from wiki_sync.taxon import TaxonFacts, TaxonName
from wiki_sync.wikifile import WikiFile

__all__ = [
    "BadAnswerError",
    "BannedError",
    "CategoryListing",
    "CategoryNotFoundError",
    "Commons",
    "Depicts",
    "EmptyCategoryError",
    "FileGoneError",
    "FolderImage",
    "FolderListing",
    "FolderProblemsError",
    "HostNotAllowedError",
    "ImageDownloads",
    "ImageTooLargeError",
    "MediaInfo",
    "NameMatch",
    "NotAnImageError",
    "ObjectNumber",
    "PermanentError",
    "PictureFacts",
    "Problem",
    "QueryRefusedError",
    "TaxonFacts",
    "TaxonName",
    "TaxonSource",
    "TransientError",
    "WikiConfig",
    "WikiError",
    "WikiFile",
    "category_title",
    "most_trusted",
    "picture_facts",
    "read_folder",
]
