"""Measuring one checkpoint, or one label set, as a stage: a unit is a shard, a part is a clip."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import Any

import numpy as np

from jobs.evaluating.frame_choice import FrameChoice
from jobs.evaluating.shard_results import ShardResults, error_documents
from jobs.evaluating.subjects import OpenSubject, Subject
from pipeline.border import begin_part, border
from pipeline.errors import DataError
from pipeline.metrics import RelativePoseErrors
from pipeline.records import ClipSample
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.index import ClipEntry
from pipeline.shards.suspects import hold_back_suspects
from pipeline.stream import ClipStream, StreamConfig
from pipeline.stream.assemble import assemble
from pipeline.stream.survivors import Survivor
from trainer.evaluation import ClipScores, EvaluationSettings

READING = "reading"  # the stage of errors of clips that could not be read
OTHER_SOURCE = "of sequences that the protocol leaves out"


@dataclass(kw_only=True, slots=True)
class ModelStage:
    """One subject on the clips of a shard that have truth."""

    subject: Subject
    stream: StreamConfig  # every clip once, in plan order
    settings: EvaluationSettings
    spans: Mapping[int, range]  # shard -> its places in the stream
    results: ShardResults
    frames: FrameChoice | None = None  # of each clip; None: those that the stream delivers
    sources: tuple[str, ...] = ("*",)  # patterns: clips of other sources are left out

    def run(self, unit: int, crashed: Mapping[str, str]) -> dict[str, Any]:
        subject = self.subject.opened(unit, self.settings)
        clips, errors = list[ClipScores](), list[ErrorRow]()
        left_out, pose_sources = Counter[str](), Counter[str]()
        survivors = list(self._survivors(unit))
        for survivor in survivors:
            begin_part(survivor.entry.key)
            sample = self._read(survivor, crashed.get(survivor.entry.key))
            found = self._scores(subject, survivor.entry, sample) if isinstance(sample, ClipSample) else sample
            if isinstance(found, ErrorRow):
                errors.append(found)
            elif isinstance(found, ClipScores) and isinstance(sample, ClipSample):
                clips.append(found)
                pose_sources.update([sample.pose_source] if sample.pose_source else [])
            else:
                left_out.update([str(found)])
        begin_part(None)
        hold_back_suspects(errors, len(survivors))
        document = {
            "clips": [scores_document(clip) for clip in clips],
            "left_out": dict(left_out),
            "pose_sources": dict(pose_sources),
            "errors": error_documents(errors),
            "precision": subject.precision,
            **subject.identity,
        }
        return self.results.publish(unit, document)

    def size(self, unit: int) -> int:
        return len(self.spans[unit])

    def parts(self, unit: int) -> Sequence[str]:
        return [survivor.entry.key for survivor in self._survivors(unit)]

    def trial(self, unit: int, part: str) -> None:
        survivor = next(survivor for survivor in self._survivors(unit) if survivor.entry.key == part)
        sample = self._read(survivor, None)
        if isinstance(sample, ClipSample):
            self._scores(self.subject.opened(unit, self.settings), survivor.entry, sample)

    def _survivors(self, shard: int) -> Iterator[Survivor]:
        span = self.spans[shard]
        found = ClipStream(self.stream).survivors_from(span.start)
        return takewhile(lambda survivor: survivor.index < span.stop, found)

    def _read(self, survivor: Survivor, crash: str | None) -> ClipSample | ErrorRow | str:
        """The clip; or why it cannot be read, or is none of the protocol's."""
        entry = survivor.entry
        if not any(fnmatchcase(entry.source, pattern) for pattern in self.sources):
            return OTHER_SOURCE
        try:
            if crash is not None:
                raise DataError(crash)
            with border(f"clip {entry.key}"):
                frames = None if self.frames is None or entry.record is None else self.frames.of_clip(entry.record)
                return frames if isinstance(frames, str) else assemble(self.stream, survivor, frames=frames)
        except DataError as error:
            return ErrorRow.of(error, stage=READING, key=entry.key, source=entry.source)

    def _scores(self, subject: OpenSubject, entry: ClipEntry, sample: ClipSample) -> ClipScores | ErrorRow | str:
        try:
            with border(f"clip {sample.key}"):
                return subject.scores(entry, sample)
        except DataError as error:
            return ErrorRow.of(error, stage="measuring", key=sample.key, source=sample.source)


def scores_document(clip: ClipScores) -> dict[str, Any]:
    """A clip's scores in JSON types, exactly; NaN is null."""
    pairs = clip.pairs
    return {
        "key": clip.key,
        "subset": clip.subset,
        "num_frames": clip.num_frames,
        "values": dict(zip(clip.values, _without_nan(clip.values.values()), strict=True)),
        "undefined": dict(clip.undefined),
        "valid_pixels": clip.valid_pixels,
        "num_tracks": clip.num_tracks,
        "flow_points": clip.flow_points,
        "pairs": pairs
        and {
            "rotation_deg": _without_nan(pairs.rotation_deg.tolist()),
            "translation_deg": _without_nan(pairs.translation_deg.tolist()),
            "static": pairs.static.tolist(),
        },
    }


def scores_of_document(document: Mapping[str, Any]) -> ClipScores:
    """The scores of such a document."""
    pairs = document["pairs"]
    return ClipScores(
        key=document["key"],
        subset=document["subset"],
        num_frames=document["num_frames"],
        values=dict(zip(document["values"], _with_nan(document["values"].values()), strict=True)),
        undefined=document["undefined"],
        valid_pixels=document["valid_pixels"],
        num_tracks=document["num_tracks"],
        flow_points=document["flow_points"],
        pairs=pairs
        and RelativePoseErrors(
            rotation_deg=np.array(_with_nan(pairs["rotation_deg"]), np.float64),
            translation_deg=np.array(_with_nan(pairs["translation_deg"]), np.float64),
            static=np.array(pairs["static"], bool),
        ),
    )


def _without_nan(values: Iterable[float]) -> list[float | None]:
    return [None if math.isnan(value) else float(value) for value in values]


def _with_nan(values: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]
