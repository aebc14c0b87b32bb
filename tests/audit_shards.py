"""The audit of one shard, written at once from clips in memory."""

from collections.abc import Iterable

from pipeline.audit.stored.audit_rows import writing_audit_shard
from pipeline.audit.stored.clip_audit import ClipAudit


def write_audit_shard(root: str, audit: str, shard: int, clips: Iterable[ClipAudit]) -> None:
    """Commit the audit of one shard. Raises DataError for a key that occurs twice."""
    with writing_audit_shard(root, audit, shard) as add:
        for clip in clips:
            add(clip)
