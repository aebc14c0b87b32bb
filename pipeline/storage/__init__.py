"""Bytes in and out: local paths, object stores, and files of the Hugging Face hub."""

from pipeline.storage.files import (
    absolute,
    exists,
    explained,
    file_system,
    fixed_part,
    glob,
    is_directory,
    is_local,
    join,
    list_files,
    open_input,
    read_bytes,
    read_range,
    remove,
    size,
)
from pipeline.storage.locks import only_one
from pipeline.storage.names import escape_name, unescape_name
from pipeline.storage.publish import publish_bytes, publishing
from pipeline.storage.walking import FolderListing, each_once, fault_of, walk

__all__ = [
    "FolderListing",
    "absolute",
    "each_once",
    "escape_name",
    "exists",
    "explained",
    "fault_of",
    "file_system",
    "fixed_part",
    "glob",
    "is_directory",
    "is_local",
    "join",
    "list_files",
    "only_one",
    "open_input",
    "publish_bytes",
    "publishing",
    "read_bytes",
    "read_range",
    "remove",
    "size",
    "unescape_name",
    "walk",
]
