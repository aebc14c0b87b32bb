"""The identity of a plan: which keys lie in which shard, in order."""

import hashlib
from collections.abc import Iterable


class PlanHash:
    """sha256 over (key, shard) pairs, fed in plan order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, rows: Iterable[tuple[str, int]]) -> None:
        """Feed the next rows."""
        for key, shard in rows:
            self._digest.update(f"{shard}:{key}\n".encode())

    def hexdigest(self) -> str:
        """64 hex digits."""
        return self._digest.hexdigest()
