"""The identity of a plan: which clips of which split lie in which shard, in order."""

import hashlib
from collections.abc import Iterable


class PlanHash:
    """sha256 over (shard, split, key) rows, fed in plan order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, rows: Iterable[tuple[int, str, str]]) -> None:
        """Feed the next rows."""
        for shard, split, key in rows:
            self._digest.update(f"{shard}:{split}:{key}\n".encode())

    def hexdigest(self) -> str:
        """64 hex digits."""
        return self._digest.hexdigest()
