"""Writing one planned shard and committing it, wherever its clips come from: first the tar, then the errors, last the index."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline import storage
from pipeline.border import begin_part
from pipeline.errors import DataError
from pipeline.layout import Layout
from pipeline.shards.errors_table import ErrorRow, write_errors
from pipeline.shards.index import ClipEntry, write_index
from pipeline.shards.plan import PlannedClip, shard_hash
from pipeline.shards.suspects import hold_back_suspects
from pipeline.shards.tar import ShardWriter, TarSample

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardOutcome:
    """Outcome of one shard."""

    shard: int
    clips: int  # stored
    failed: int
    num_bytes: int  # of the tar


def commit_shard(root: str, shard: int, results: Iterator[tuple[PlannedClip, TarSample | DataError]]) -> ShardOutcome:
    """Write every planned clip or its error, in order, and commit the shard. `results` are used up before the index is written.

    Raises: StorageError when bytes cannot be read or written just now; on trial, SuspectUnitError. Nothing is committed then.
    """
    layout = Layout(root)
    entries: list[ClipEntry] = []
    planned: list[PlannedClip] = []
    errors: list[ErrorRow] = []
    with storage.publishing(layout.shard_tar(shard)) as path:
        with ShardWriter(path) as writer:
            for clip, result in results:
                planned.append(clip)
                entry = _entry(shard, clip)
                if isinstance(result, TarSample):
                    entries.append(writer.add(entry, result))
                else:
                    entries.append(entry)
                    errors.append(_error_row(clip, result))
        begin_part(None)
        entries = writer.located(entries)
        num_bytes = path.stat().st_size
        hold_back_suspects(errors, len(entries))
    write_errors(root, "shards", shard, errors)
    write_index(root, shard, entries, planned=shard_hash(planned))
    _LOG.info("shard %06d: %d clips, %d failed", shard, len(entries) - len(errors), len(errors))
    return ShardOutcome(shard=shard, clips=len(entries) - len(errors), failed=len(errors), num_bytes=num_bytes)


def _entry(shard: int, clip: PlannedClip) -> ClipEntry:
    return ClipEntry(
        key=clip.key,
        sample_key=clip.key,
        tar=f"{shard:06d}.tar",
        source=clip.source,
        source_id=clip.source_id,
        split=clip.split,
        license=clip.license,
    )


def _error_row(clip: PlannedClip, error: Exception) -> ErrorRow:
    row = ErrorRow.of(error, stage="shards", key=clip.key, source=clip.source)
    return replace(row, message=f"clip {clip.key}: {row.message.removeprefix(f'clip {clip.key}: ')}")
