"""One worker of a consensus: reads what the label sets say of a clip, fuses it, gives encoded rows back."""

import time
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from jobs.fusing.inputs import ClipOpinions, MemberSet, OpinionReader
from jobs.labeling.outcome import EncodedClip, Unlabelled, at_border, encode_clip, noted
from jobs.labeling.shards import LabelItem
from jobs.labeling.worker import LabelledItem, item_summary
from pipeline.consensus.fusion import fuse_tracks
from pipeline.consensus.matching import match_queries
from pipeline.errors import DataError
from pipeline.records import TrackLabels
from pipeline.shards.index import ClipEntry

SAME_QUERIES = "label them with the same --queries, --query-policy and --query-frames of jobs/pseudolabel.py"


@dataclass(frozen=True, kw_only=True, slots=True)
class FuserSettings:
    """Settings of a worker, sent to every process."""

    root: str
    members: tuple[MemberSet, ...]
    agree_px: float
    kind: str = TrackLabels.kind

    def make_worker(self) -> "FuseWorker":
        """The worker."""
        return FuseWorker(self)


class FuseWorker:
    """Fuses items. `label_item` may be called from several threads."""

    def __init__(self, settings: FuserSettings) -> None:
        self._settings = settings
        self._reader = OpinionReader(settings.root, settings.members)

    def label_item(self, item: LabelItem) -> LabelledItem:
        """Fuse the clips of one item. A clip that fails becomes a row that says why."""
        started = time.perf_counter()
        clips = [self._row(item.shard, entry) for entry in item.entries]
        summary = item_summary(clips, busy_s=time.perf_counter() - started, waited_s=0.0)
        return LabelledItem(table=pa.concat_tables([clip.table for clip in clips]), summary=summary)

    def _row(self, shard: int, entry: ClipEntry) -> EncodedClip:
        return encode_clip(entry, at_border(entry.key, partial(self._fused, shard, entry)), self._settings.kind)

    def _fused(self, shard: int, entry: ClipEntry) -> TrackLabels | Unlabelled:
        read = self._reader.read(shard, entry)
        return read if isinstance(read, Unlabelled) else fuse_clip(read, agree_px=self._settings.agree_px)


def fuse_clip(clip: ClipOpinions, *, agree_px: float) -> TrackLabels:
    """The consensus of a clip, with a note on sets that have no tracks of it and on tracks that only one vote has.

    Raises: DataError if no two votes have a query in common.
    """
    votes = [each.vote for each in clip.opinions]
    matched = match_queries([each.labels.queries for each in clip.opinions], votes)
    if not len(matched.queries) and matched.num_left_out:
        raise DataError(f"no two of its votes ({', '.join(dict.fromkeys(votes))}) have a query in common; {SAME_QUERIES}")
    fused = fuse_tracks(clip.opinions, matched, height=clip.height, width=clip.width, agree_px=agree_px)
    fused = noted(fused, f"fused without {'; '.join(clip.absent)}" if clip.absent else None)
    return noted(fused, f"{matched.num_left_out} tracks left out, which one vote alone has" if matched.num_left_out else None)
