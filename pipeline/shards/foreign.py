"""Registering WebDataset tars that others wrote, where they lie: an index is written, nothing is copied."""

import hashlib
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from pipeline import storage
from pipeline.border import begin_part, border
from pipeline.errors import DataError
from pipeline.layout import Layout, committed
from pipeline.manifest.listing import NamedFile, distinct_names
from pipeline.records import ClipRecord
from pipeline.shards.errors_table import ErrorRow, write_errors
from pipeline.shards.foreign_samples import SampleClip, TarContents, read_contents
from pipeline.shards.foreign_texts import SampleTexts, read_texts
from pipeline.shards.index import ClipEntry, read_entries, write_entries, write_index
from pipeline.shards.plan import PlannedClip, shard_hash
from pipeline.shards.policy import slug, split_of
from pipeline.shards.source_roots import SourceRoots
from pipeline.shards.tar_headers import readable_key
from pipeline.tables import open_table
from pipeline.video.probe import probe_video


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignTar:
    """A tar that is not ours, and its name among those registered with it: the same on every machine."""

    uri: str  # where it lies now
    name: str
    reference: str = ""  # how tables name its place; empty: as `uri`
    unpack_below: str | None = None  # the root below which it is unpacked where it is compressed; None: such a tar is refused


@dataclass(frozen=True, kw_only=True, slots=True)
class TarScan:
    """Contents of one tar: an entry per video sample, and its errors."""

    entries: tuple[ClipEntry, ...]
    errors: tuple[ErrorRow, ...]


def scan_tar(tar: ForeignTar, *, shares: Mapping[str, float], license: str | None, crashed: Mapping[str, str]) -> TarScan:
    """Read the headers of one tar and probe every video in it.

    The samples around a break in a damaged tar are kept; the break itself is an error that names the tar.
    Args:
        crashed: samples (by clip key) that killed a worker, and what is to be said of them.
    Raises: StorageError if the tar cannot be read just now.
    """
    try:
        with border(readable_key(tar.uri)):
            contents = _contents_of(tar)
    except DataError as error:
        return TarScan(entries=(), errors=(_error(tar.uri, "", error),))
    errors = [_error(tar.uri, "", problem) for problem in contents.problems]
    entries = []
    for clips in contents.samples:
        texts = [_texts_of(contents, clip) for clip in clips]
        source_id = _source_id(texts) or clips[0].sample_key
        for clip, said in zip(clips, texts, strict=True):
            entry = _planned_entry(tar, contents, clip, source_id=source_id, split=split_of(source_id, shares))
            begin_part(entry.key)
            try:
                if entry.key in crashed:
                    raise DataError(crashed[entry.key])
                if isinstance(said, DataError):
                    raise said
                with border(_where(contents, clip)):
                    entries.append(_described(entry, contents.uri, clip, said, license))
            except DataError as error:
                entries.append(replace(entry, license=license))
                errors.append(_error(tar.uri, entry.key, error))
    begin_part(None)
    return TarScan(entries=tuple(entries), errors=tuple(errors))


def sample_keys(tar: ForeignTar) -> list[str]:
    """Clip keys of the video samples of a tar, from its headers alone."""
    return [foreign_key(tar.name, clip.name) for clips in _contents_of(tar).samples for clip in clips]


def try_sample(tar: ForeignTar, key: str) -> None:
    """Probe one sample of a tar and forget it: whether it kills the process is all that the caller wants to know."""
    contents = _contents_of(tar)
    clip = next(clip for clips in contents.samples for clip in clips if foreign_key(tar.name, clip.name) == key)
    probe_video(storage.read_range(contents.uri, clip.video.offset, clip.video.length), key)


def name_tars(uris: Sequence[str], known: Mapping[str, str], roots: SourceRoots) -> list[ForeignTar]:
    """Tars with their paths below the deepest folder that holds them all; those that have names keep them.

    Args:
        known: names of tars that were registered before, by uri.
    """
    folder = posixpath.dirname(uris[0]) if len(uris) == 1 else _shared_folder([posixpath.dirname(uri) for uri in uris])
    names = distinct_names((NamedFile(uri=uri, root=folder) for uri in uris), known)
    return [ForeignTar(uri=uri, name=names[uri], reference=roots.reference(uri) or uri) for uri in uris]


def _shared_folder(folders: Sequence[str]) -> str:
    parts = [folder.split("/") for folder in folders]
    shared = next(
        (depth for depth, column in enumerate(zip(*parts, strict=False)) if len(set(column)) > 1), min(map(len, parts), default=0)
    )
    return "/".join(parts[0][:shared]) or "/"


def registered_tars(root: str, roots: SourceRoots, *, before: int) -> dict[str, str]:
    """Names of the tars of all probe tables with a number below `before`, by where they lie now."""
    known = {}
    for number in sorted(committed(storage.join(root, "probe"))):
        if number < before:
            tar = read_tar_of(Layout(root).probe(number))
            if tar is not None:
                known[roots.resolve(tar.reference)] = tar.name
    return known


def read_tar_of(uri: str) -> ForeignTar | None:
    """The tar of a probe table; None for an empty table that was written before tables named it."""
    with open_table(uri, "shard") as file:
        said = {name.decode(): value.decode() for name, value in (file.schema_arrow.metadata or {}).items()}
    if "tar" in said:
        return ForeignTar(uri=said["tar"], name=said["tar_name"], reference=said["tar"])
    entry = next(iter(read_entries(uri)), None)
    if entry is None:
        return None
    return ForeignTar(uri=entry.tar, name=entry.source.removesuffix(f"/{entry.sample_key}"), reference=entry.tar)


def foreign_key(tar_name: str, sample_key: str) -> str:
    """Clip key of a foreign sample: slug of its `__key__`, and 8 hex of the tar's name and that key."""
    digest = hashlib.sha256(f"{tar_name}/{sample_key}".encode()).hexdigest()[:8]
    return f"{slug(PurePosixPath(sample_key).name)}-{digest}-w0000"


def register_tar(
    root: str, number: int, tar: ForeignTar, *, shares: Mapping[str, float], license: str | None, crashed: Mapping[str, str]
) -> int:
    """Scan one tar; publish its errors, and its contents as probe table `number`. Returns how many errors there are."""
    scan = scan_tar(tar, shares=shares, license=license, crashed=crashed)
    write_errors(root, "shards", number, scan.errors)
    place = tar.reference or tar.uri
    entries = [replace(entry, tar=place) if entry.tar == tar.uri else entry for entry in scan.entries]  # others were unpacked
    write_entries(Layout(root).probe(number), entries, {"tar": place, "tar_name": tar.name})
    return len(scan.errors)


def plan_registered(root: str, number: int) -> list[PlannedClip]:
    """The plan's rows for one registered tar: each tar is a shard."""
    return plan_entries(number, read_entries(Layout(root).probe(number)))


def plan_entries(number: int, entries: Iterable[ClipEntry]) -> list[PlannedClip]:
    """The plan's rows for the samples of one tar."""
    return [
        PlannedClip(
            shard=number,
            key=entry.key,
            source=entry.source,
            source_uri=entry.tar,
            source_id=entry.source_id,
            split=entry.split,
            license=entry.license,
            num_frames=None if entry.record is None else entry.record.frames,
            estimated_bytes=sum(member.length for member in entry.members),
        )
        for entry in entries
    ]


def commit_registered(root: str, number: int) -> int:
    """Publish the index of one registered tar: its samples can be read from now on. Returns how many."""
    entries = read_entries(Layout(root).probe(number))
    write_index(root, number, entries, planned=shard_hash(plan_entries(number, entries)))
    return len(entries)


def _contents_of(tar: ForeignTar) -> TarContents:
    return read_contents(tar.uri, tar.name, unpack_below=tar.unpack_below)


def _where(contents: TarContents, clip: SampleClip) -> str:
    return f"{contents.uri}: sample {clip.name}"


def _texts_of(contents: TarContents, clip: SampleClip) -> SampleTexts | DataError:
    """Texts of the clip's json and caption, or the error of reading them."""
    where = _where(contents, clip)
    if clip.fault is not None:
        return DataError(f"{where}: {clip.fault}")
    try:
        with border(where):
            return read_texts(contents.uri, clip, where)
    except DataError as error:
        return error


def _source_id(texts: Sequence[SampleTexts | DataError]) -> str | None:
    """The id of the source that the clips of one sample share: the one that their texts name, if it is only one."""
    named = {said.source_id for said in texts if isinstance(said, SampleTexts) and said.source_id is not None}
    return named.pop() if len(named) == 1 else None


def _planned_entry(tar: ForeignTar, contents: TarContents, clip: SampleClip, *, source_id: str, split: str) -> ClipEntry:
    return ClipEntry(
        key=foreign_key(tar.name, clip.name),
        sample_key=clip.sample_key,
        tar=contents.place,
        source=f"{tar.name}/{clip.name}",
        source_id=source_id,
        split=split,
    )


def _described(entry: ClipEntry, uri: str, clip: SampleClip, texts: SampleTexts, license: str | None) -> ClipEntry:
    """The entry with the record that the sample's own video and json give."""
    data = storage.read_range(uri, clip.video.offset, clip.video.length)
    probe = probe_video(data, f"{uri}: sample {clip.name}")
    times = probe.times_s
    record = ClipRecord(
        key=entry.key,
        source=entry.source,
        source_id=entry.source_id,
        split=entry.split,
        start_s=float(times[0]),
        end_s=probe.time_after(probe.num_frames - 1),
        fps=round((probe.num_frames - 1) / float(times[-1]) if probe.num_frames > 1 else 1 / probe.frame_s, 6),
        frames=probe.num_frames,
        width=probe.width,
        height=probe.height,
        codec=probe.codec,
        video="foreign",
        sha256=hashlib.sha256(data).hexdigest(),
        timestamps=tuple(float(time) for time in times),
        license=license or texts.license,
        notes=(*texts.notes, *probe.picture.notes("foreign")),
        extra=texts.extra,
    )
    return replace(entry, license=record.license, members=clip.members, record=record)


def _error(uri: str, key: str, error: DataError) -> ErrorRow:
    return ErrorRow.of(error, stage="shards", key=key, source=readable_key(uri))
