"""Registering WebDataset tars that others wrote, where they lie: an index is written, nothing is copied."""

import hashlib
import json
import logging
import posixpath
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from pipeline import storage
from pipeline.errors import DataError
from pipeline.layout import Layout, committed
from pipeline.manifest.listing import NamedFile
from pipeline.manifest.names import distinct_names
from pipeline.records import ClipRecord
from pipeline.shards.errors_table import ErrorRow, write_errors
from pipeline.shards.index import ClipEntry, Member, is_video, read_entries, write_entries, write_index
from pipeline.shards.keys import slug, split_of
from pipeline.shards.plan import PlannedClip, shard_hash
from pipeline.shards.source_roots import SourceRoots
from pipeline.shards.tar import members_of
from pipeline.tables import open_table
from pipeline.video.probe import probe_video

_LOG = logging.getLogger(__name__)
_PASSED_ON = ("txt", "caption")  # text members that travel along in `extra`


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignTar:
    """A tar that somebody else wrote, and its name among those registered with it: the same on every machine."""

    uri: str  # where it lies now
    name: str
    reference: str = ""  # how tables name its place; empty: as `uri`


@dataclass(frozen=True, kw_only=True, slots=True)
class TarScan:
    """What one tar holds: an entry per video sample, and what is wrong with it."""

    entries: tuple[ClipEntry, ...]
    errors: tuple[ErrorRow, ...]


def scan_tar(tar: ForeignTar, *, shares: Mapping[str, float], license: str | None, crashed: Mapping[str, str]) -> TarScan:
    """Read one tar front to back and probe every video sample in it.

    The samples before a break in a damaged tar are kept; the break itself is an error that names the tar.
    Args:
        crashed: samples (by clip key) that killed a worker, and what is to be said of them.
    Raises: StorageError if the tar cannot be read just now.
    """
    errors: list[ErrorRow] = []
    uri = tar.uri
    samples, broken = _samples_of(uri)
    if broken is not None:
        errors.append(_error(uri, "", broken))
    videos = {key: members for key, members in samples.items() if any(is_video(member.name) for member in members)}
    if not videos and broken is None:
        found = ", ".join(sorted({member.name for members in samples.values() for member in members})) or "nothing"
        errors.append(_error(uri, "", DataError(f"{uri}: no sample has a video member (found {found}); pass only tars with .mp4 members")))
    entries = []
    for sample_key, members in videos.items():
        key = foreign_key(tar.name, sample_key)
        entry = ClipEntry(key=key, sample_key=sample_key, tar=uri, source=f"{tar.name}/{sample_key}", source_id=sample_key, split="")
        try:
            if key in crashed:
                raise DataError(crashed[key])
            _check_unambiguous(f"{uri}: sample {sample_key}", members)
            entries.append(_described(entry, members, shares, license))
        except DataError as error:
            entries.append(replace(entry, split=split_of(sample_key, shares), license=license))
            errors.append(_error(uri, key, error))
    return TarScan(entries=tuple(entries), errors=tuple(errors))


def sample_keys(tar: ForeignTar) -> list[str]:
    """Clip keys of the video samples of a tar, from its headers alone."""
    samples, _ = _samples_of(tar.uri)
    return [foreign_key(tar.name, key) for key, members in samples.items() if any(is_video(member.name) for member in members)]


def try_sample(tar: ForeignTar, key: str) -> None:
    """Probe one sample of a tar and forget it: whether it kills the process is all that the caller wants to know."""
    samples, _ = _samples_of(tar.uri)
    members = next(members for sample_key, members in samples.items() if foreign_key(tar.name, sample_key) == key)
    video = next(member for member in members if is_video(member.name))
    probe_video(storage.read_range(tar.uri, video.offset, video.length), key)


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
    """Which tar a probe table is of; None for an empty one of before tables said so."""
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
    """Scan one tar and publish its errors, and what was found as probe table `number`. Returns how many errors there are."""
    scan = scan_tar(tar, shares=shares, license=license, crashed=crashed)
    write_errors(root, "shards", number, scan.errors)
    place = tar.reference or tar.uri
    entries = [replace(entry, tar=place) for entry in scan.entries]
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


def _described(entry: ClipEntry, members: list[Member], shares: Mapping[str, float], license: str | None) -> ClipEntry:
    """The entry with the record that the sample's own video and json give."""
    video = next(member for member in members if is_video(member.name))
    data = storage.read_range(entry.tar, video.offset, video.length)
    where = f"{entry.tar}: sample {entry.sample_key}"
    probe = probe_video(data, where)
    extra = _extra(entry, members, where)
    source_id = str(extra.get("videoid") or extra.get("video_id") or extra.get("url") or entry.sample_key)
    split = split_of(source_id, shares)
    times = probe.times_s
    record = ClipRecord(
        key=entry.key,
        source=entry.source,
        source_id=source_id,
        split=split,
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
        license=license or extra.get("license"),
        notes=probe.picture.notes("foreign"),
        extra=extra,
    )
    return replace(entry, source_id=source_id, split=split, license=record.license, members=tuple(members), record=record)


def _check_unambiguous(where: str, members: list[Member]) -> None:
    """Raise DataError if a name occurs twice: two samples of one key, which no reader can tell apart by it."""
    names = [member.name for member in members]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{where}: its key occurs more than once in the tar ({', '.join(twice)}); give every sample a key of its own")


def _extra(entry: ClipEntry, members: list[Member], where: str) -> dict[str, Any]:
    """The sample's json and caption members."""
    extra: dict[str, Any] = {}
    for member in members:
        if member.name == "json":
            try:
                document = json.loads(storage.read_range(entry.tar, member.offset, member.length))
            except ValueError as error:
                raise DataError(f"{where}: its json member is not valid JSON ({error}); mend it or drop the sample") from error
            extra.update(document if isinstance(document, dict) else {"json": document})
        elif member.name in _PASSED_ON:
            extra["caption"] = storage.read_range(entry.tar, member.offset, member.length).decode(errors="replace")
    return extra


def _samples_of(uri: str) -> tuple[dict[str, list[Member]], DataError | None]:
    """Members by sample, and what is wrong with a tar that breaks off."""
    samples: dict[str, list[Member]] = {}
    with storage.open_input(uri) as handle:
        try:
            with tarfile.open(fileobj=handle, mode="r:") as tar:
                for info in tar:
                    for key, members in members_of([info]).items():
                        samples.setdefault(key, []).extend(members)
        except tarfile.TarError as error:
            _cut_short(samples, storage.size(uri))
            return samples, DataError(f"{uri}: damaged after {len(samples)} whole samples ({error}); fetch it again")
    return samples, None


def _cut_short(samples: dict[str, list[Member]], length: int) -> None:
    """Forget samples of which a member reaches beyond the end of the file."""
    for key in [key for key, members in samples.items() if any(member.offset + member.length > length for member in members)]:
        del samples[key]


def _error(uri: str, key: str, error: DataError) -> ErrorRow:
    return ErrorRow.of(error, stage="shards", key=key, source=uri)
