"""Exporting as a stage: a unit is a shard, a part is a clip, which is read as the stream reads it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.evaluating.shard_results import digest, error_documents
from pipeline.border import begin_part, border
from pipeline.errors import DataError
from pipeline.export.format import ExportFormat, Refusal
from pipeline.export.placing import ExportFolder
from pipeline.layout import Layout
from pipeline.records import ClipRecord, ClipSample
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.plan import read_plan_counts
from pipeline.shards.suspects import hold_back_suspects
from pipeline.shards.tombstones import read_tombstones
from pipeline.stream import StreamConfig
from pipeline.stream.assemble import assemble
from pipeline.stream.catalog import ShardCatalog, ShardClips
from pipeline.stream.survivors import Survivor
from pipeline.tables import fingerprint, write_document

STAGE = "export"
KIND = "exported_shard"


@dataclass(slots=True)
class ShardExport:
    """What is known of a shard's clips, as they are done one by one."""

    num_clips: int = 0
    exported: list[dict[str, Any]] = field(default_factory=list)  # documents of clips, and their places
    left_out: Counter[str] = field(default_factory=Counter)  # by the stream's reason
    refused: list[dict[str, str]] = field(default_factory=list)  # key, kind, message
    errors: list[ErrorRow] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """In JSON types."""
        return {
            "num_clips": self.num_clips,
            "exported": self.exported,
            "left_out": dict(sorted(self.left_out.items())),
            "refused": self.refused,
            "errors": error_documents(self.errors),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportStage:
    """Clips of a dataset, written in one format."""

    stream: StreamConfig  # whole clips in plan order, one pass
    format: ExportFormat
    folder: ExportFolder
    taken: Mapping[int, int]  # shard -> how many of its planned clips of the split, from the first on
    made_from: Mapping[int, str]  # shard -> identity of the files that it is made from
    settings: str  # digest of what is exported and how

    def run(self, unit: int, crashed: Mapping[str, str]) -> dict[str, Any]:
        found, identity = ShardExport(), self._clip_identity(unit)
        for survivor, reason in self._entries(unit):
            entry = survivor.entry
            begin_part(entry.key)
            found.num_clips += 1
            num_exported = len(found.exported)
            if reason is not None:
                found.left_out[reason] += 1
            else:
                try:
                    self._export(survivor, identity, crashed.get(entry.key), found)
                except DataError as error:
                    found.errors.append(ErrorRow.of(error, stage=STAGE, key=entry.key, source=entry.source))
            if len(found.exported) == num_exported:  # an earlier run may have found otherwise
                self.folder.remove(self.format.place(unit, entry.key))
        begin_part(None)
        hold_back_suspects(found.errors, found.num_clips)
        document = {**found.document(), "made_from": self.made_from[unit]}
        write_document(self.folder.shard_document(unit), document, KIND)
        return document

    def size(self, unit: int) -> int:
        return self.taken[unit]

    def parts(self, unit: int) -> Sequence[str]:
        return [survivor.entry.key for survivor, _ in self._entries(unit)]

    def trial(self, unit: int, part: str) -> None:
        for survivor, reason in self._entries(unit):
            if survivor.entry.key == part and reason is None:
                self._export(survivor, self._clip_identity(unit), None, ShardExport())

    def survey(self, unit: int) -> ShardExport:
        """Which clips would be exported, left out and refused, as far as this is known without reading a video."""
        found = ShardExport()
        for survivor, reason in self._entries(unit):
            found.num_clips += 1
            record = record_of(survivor) if reason is None else None
            refusal = None if record is None else self.format.refuse_record(record)
            if reason is not None:
                found.left_out[reason] += 1
            elif refusal is not None:
                found.refused.append(_refused(survivor.entry.key, refusal))
            else:
                found.exported.append({"key": survivor.entry.key})
        return found

    def _clips(self, shard: int) -> ShardClips:
        plan = read_plan_counts(self.stream.root)
        planned = dict(zip(plan.shards.tolist(), plan.counts(self.stream.split).tolist(), strict=True))[shard]
        return ShardCatalog(self.stream, read_tombstones(self.stream.root), plan).clips(shard, planned)

    def _entries(self, unit: int) -> Iterator[tuple[Survivor, str | None]]:
        """The shard's clips that are looked at, each with the reason for which the stream leaves it out."""
        shard, taken = self._clips(unit), self.taken[unit]
        for index, (entry, reason) in enumerate(zip(shard.entries[:taken], shard.left_out[:taken], strict=True)):
            yield Survivor(index=index, shard=unit, entry=entry, labels=shard.labels, audit=shard.audit), reason

    def _export(self, survivor: Survivor, identity: str, crash: str | None, found: ShardExport) -> None:
        key, place = survivor.entry.key, self.format.place(survivor.shard, survivor.entry.key)
        if crash is not None:
            raise DataError(crash)
        record = record_of(survivor)
        made_from = digest({"shard": identity, "sha256": record.sha256})
        kept = self.folder.finished(place, made_from)
        if kept is not None:
            found.exported.append({**kept, "place": place})
            return
        with border(f"clip {key}"):
            sample = self._sample(survivor, record)
            if isinstance(sample, Refusal):
                found.refused.append(_refused(key, sample))
                return
            document = self._document(sample, record, made_from)
            self.folder.put(place, self.format.files(sample), document)
        found.exported.append({**document, "place": place})

    def _sample(self, survivor: Survivor, record: ClipRecord) -> ClipSample | Refusal:
        refusal = self.format.refuse_record(record)
        if refusal is not None:
            return refusal
        sample = assemble(self.stream, survivor)
        return self.format.refuse(sample) or sample

    def _document(self, sample: ClipSample, record: ClipRecord, made_from: str) -> dict[str, Any]:
        """Origin of one exported clip, in JSON types."""
        return {
            "key": sample.key,
            "source": sample.source,
            "source_id": record.source_id,
            "split": sample.split,
            "license": sample.license,
            "video_sha256": record.sha256,
            "start_s": record.start_s,
            "end_s": record.end_s,
            "fps": record.fps,
            "frames": len(sample.frames),
            "width": record.width,
            "height": record.height,
            "tracks": self.format.num_tracks(sample),
            "format": self.format.name,
            "labels": list(self.stream.label_sets),
            "audit": self.stream.audit,
            "made_from": made_from,
        }

    def _clip_identity(self, shard: int) -> str:
        """Identity of what a shard's clips are made from, but for their videos."""
        layout = Layout(self.stream.root)
        tables = [layout.label_shard(name, shard) for name in self.stream.label_sets]
        tables += [] if self.stream.audit is None else [layout.audit_shard(self.stream.audit, shard)]
        return digest({"settings": self.settings, "tables": [fingerprint(uri) for uri in tables]})


def record_of(survivor: Survivor) -> ClipRecord:
    """Record of a clip that was cut."""
    assert survivor.entry.record is not None, "a clip that is not left out was cut"
    return survivor.entry.record


def _refused(key: str, refusal: Refusal) -> dict[str, str]:
    return {"key": key, "kind": refusal.kind, "message": refusal.message}
