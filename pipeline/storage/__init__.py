"""Bytes in and out: local paths, object stores, and files of the Hugging Face hub."""

from pipeline.storage.files import (
    absolute,
    exists,
    file_system,
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
from pipeline.storage.publish import publish_bytes, publishing

__all__ = [
    "absolute",
    "exists",
    "file_system",
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
]
