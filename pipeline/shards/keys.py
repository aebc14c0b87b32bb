"""Names of clips, and the split that a source belongs to: pure functions of the source alone."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from pathlib import PurePosixPath

_LONGEST_SLUG = 48


def source_hash(relative_uri: str) -> str:
    """8 hex digits of a source's relative uri."""
    return hashlib.sha256(relative_uri.encode()).hexdigest()[:8]


def slug(text: str) -> str:
    """`text` in A-Z a-z 0-9 _ - alone: accents dropped, anything else a dash; `video` if nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:_LONGEST_SLUG].strip("-") or "video"


def clip_key(relative_uri: str, number: int) -> str:
    """Key of clip `number` of a source: slug of its stem, 8 hex of its relative uri, and the number."""
    return f"{slug(PurePosixPath(relative_uri).stem)}-{source_hash(relative_uri)}-w{number:04d}"


def split_of(source_id: str, shares: Mapping[str, float]) -> str:
    """The split of all clips of a source: its hash, as a number in [0, 1), falls into one of the shares laid end to end."""
    place = int.from_bytes(hashlib.sha256(f"split:{source_id}".encode()).digest()[:8], "big") / 2**64
    end = 0.0
    for name, share in shares.items():
        end += share
        if place < end:
            return name
    return list(shares)[-1]
