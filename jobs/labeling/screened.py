"""Clips that need no label since the screen dropped them."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial

from jobs.console import counted
from pipeline.audit.stored.screen import read_verdicts, screen_identity
from pipeline.errors import ConfigError
from pipeline.layout import Layout, committed
from pipeline.tables import read_table

SCREEN = ("obey", "ignore")
_READERS = 8  # shards whose verdicts are read at a time
_REMEMBERED = 4  # shards in a worker's hands: the one that it labels, and the next


@dataclass(frozen=True, kw_only=True, slots=True)
class ScreenedShards:
    """Screen results of the shards to be labelled: clips that are left out, by reason."""

    clips: int = 0
    frames: int = 0
    clips_dropped: int = 0
    frames_dropped: int = 0
    reasons: tuple[tuple[str, int], ...] = ()  # clips by reason, the commonest first; a clip counts once for each of its reasons

    def __str__(self) -> str:
        if not self.clips_dropped:
            return f"it dropped none of {counted(self.clips, 'clip')}"
        share = self.frames_dropped / self.frames if self.frames else 0.0
        why = ", ".join(f"{count} {reason}" for reason, count in self.reasons)
        left_out = f"{self.clips_dropped} of {counted(self.clips, 'clip')} left out ({why})"
        return f"{left_out}: {self.frames_dropped} of {counted(self.frames, 'frame')} ({share:.1%})"


def obeyed_screen(root: str, screen: str) -> str | None:
    """Identity of the screen that a labelling obeys; None if there is none, or `screen` is "ignore"."""
    return screen_identity(root) if screen == "obey" else None


def check_screened(root: str, shards: Sequence[int]) -> ScreenedShards:
    """Read what the screen says of these shards.

    Raises: ConfigError if one of them is not screened, or if another video was screened than the one that is there now.
    """
    missing = sorted({*shards} - committed(Layout(root).screen))
    if missing:
        raise ConfigError(
            f"{root}: {len(missing)} of {counted(len(shards), 'shard')} to label not screened yet, the first is {missing[0]:06d}; run"
            f" python jobs/audit.py screen --root {root}, or label every clip with --screen ignore"
        )
    with ThreadPoolExecutor(max_workers=_READERS) as readers:
        found = list(readers.map(partial(_screened_shard, root), shards))
    reasons = sum((Counter(dict(each.reasons)) for each in found), Counter[str]())
    return ScreenedShards(
        clips=sum(each.clips for each in found),
        frames=sum(each.frames for each in found),
        clips_dropped=sum(each.clips_dropped for each in found),
        frames_dropped=sum(each.frames_dropped for each in found),
        reasons=tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )


class DroppedClips:
    """Clips that the screen dropped, with reasons; read shard by shard, when a worker comes to it. May be asked from several threads."""

    def __init__(self, root: str) -> None:
        self._reasons = lru_cache(maxsize=_REMEMBERED)(partial(_dropped, root))

    def reason(self, shard: int, key: str) -> str | None:
        """Why a clip was dropped, None if it was not. Raises StorageError, DataError if the screen of its shard cannot be read."""
        return self._reasons(shard).get(key)


def _dropped(root: str, shard: int) -> dict[str, str]:
    return {
        each.key: f"dropped by the screen: {', '.join(each.verdict.reasons)}"
        for each in read_verdicts(root, shard)
        if each.verdict.decision == "drop"
    }


def _screened_shard(root: str, shard: int) -> ScreenedShards:
    index = read_table(Layout(root).shard_index(shard), "shard", ["key", "sha256", "frames"]).to_pylist()
    verdicts = {each.key: each for each in read_verdicts(root, shard)}
    dropped, frames_dropped, reasons = 0, 0, Counter[str]()
    for row in index:
        verdict = verdicts.get(row["key"])
        if verdict is None or verdict.clip_sha256 not in (None, row["sha256"]):
            raise ConfigError(
                f"{Layout(root).screen_shard(shard)}: clip {row['key']} is {'not in it' if verdict is None else 'of another video now'};"
                " delete this file, run jobs/audit.py screen again, then this job"
            )
        if verdict.verdict.decision == "drop":
            dropped, frames_dropped = dropped + 1, frames_dropped + (row["frames"] or 0)
            reasons.update(verdict.verdict.reasons)
    return ScreenedShards(
        clips=len(index),
        frames=sum(row["frames"] or 0 for row in index),
        clips_dropped=dropped,
        frames_dropped=frames_dropped,
        reasons=tuple(reasons.items()),
    )
