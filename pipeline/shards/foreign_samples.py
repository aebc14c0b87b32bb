"""Contents of a foreign tar: WebDataset samples with their videos, and the faults of those that cannot be read."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline import storage
from pipeline.errors import DataError
from pipeline.shards.compressed_tar import compression_of, refusal, unpack, unpacked_name
from pipeline.shards.index import Member, is_video
from pipeline.shards.tar_headers import BLOCK, readable_key
from pipeline.shards.tar_reading import TarListing, TarMember, list_members

_TEXTS = ("json", "txt", "caption")  # members that a clip's record is made of, besides the video


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleClip:
    """One video of a sample, with the members that go with it."""

    sample_key: str  # `__key__`
    name: str  # of the clip among the clips of its tar: the sample's key, and the video's suffix where there are several
    video: Member
    members: tuple[Member, ...]  # the video, and all of the sample's that belong to no other video
    prefix: str = ""  # of this video's own members where there are several: `0001.` of `0001.mp4`
    fault: str | None = None  # why the clip cannot be had

    def text(self, suffix: str) -> Member | None:
        """A text member (`json`, `txt`, `caption`): the video's own, or the sample's."""
        found = {member.name: member for member in self.members}
        return found.get(self.prefix + suffix) or found.get(suffix)


@dataclass(frozen=True, kw_only=True, slots=True)
class TarContents:
    """The video samples of a tar, in order, and the errors of the tar beyond single clips."""

    uri: str  # where the bytes lie
    place: str  # how an index names that: `uri`, or below the root where it was unpacked
    samples: tuple[tuple[SampleClip, ...], ...]
    problems: tuple[DataError, ...]


def read_contents(uri: str, name: str, *, unpack_below: str | None) -> TarContents:
    """Read the headers of one tar, unpacking it first where it is compressed and `unpack_below` names a root.

    Args:
        name: of the tar among those registered with it.
    Raises: DataError if the file is no tar, empty, or compressed and not to be unpacked; StorageError.
    """
    if readable_key(uri) != uri:
        raise DataError(f"{readable_key(uri)}: the tar's own name is not UTF-8 (escaped here); rename the file")
    if storage.is_directory(uri):
        raise DataError(f"{uri}: it is a folder, expected a tar; give the tars within it, or pack it: tar cf NEW.tar -C {uri} .")
    with storage.open_input(uri) as handle:
        compression = compression_of(handle.read(BLOCK))
    place = uri
    if compression is not None:
        if unpack_below is None:
            raise refusal(uri, compression)
        place = unpacked_name(name)
        packed, uri = uri, storage.join(unpack_below, place)
        unpack(packed, uri, compression)
    length = storage.size(uri)
    if length == 0:
        raise DataError(f"{uri}: the file is empty (0 bytes); fetch it again")
    with storage.open_input(uri) as handle:
        listing = list_members(handle, length)
    return _contents(uri, place, listing)


def video_clips(members: Sequence[TarMember], sample_key: str) -> tuple[SampleClip, ...]:
    """The clips of one sample: one per video member. `members` have their suffix as name."""
    videos = [member for member in members if is_video(member.name)]
    twice = sorted(name for name, count in Counter(member.name for member in members).items() if count > 1)
    prefixes = {video.name: video.name.rsplit(".", 1)[0] + "." if "." in video.name else "" for video in videos}
    clips = []
    for video in {video.name: video for video in videos}.values():
        several, prefix = len(prefixes) > 1, prefixes[video.name]
        others = {each for each in prefixes.values() if each and each != prefix} if several else set()
        own = [each for each in members if _goes_with(each.name, video.name, prefixes, others)]
        prefix = prefix if several else ""
        fault = f"its key occurs more than once in the tar ({', '.join(twice)}); give every sample a key of its own" if twice else None
        clips.append(
            SampleClip(
                sample_key=sample_key,
                name=f"{sample_key}.{video.name}" if several else sample_key,
                video=_member(video),
                members=tuple(_member(each) for each in own if each.fault is None),
                prefix=prefix,
                fault=fault or _fault(own, video.name, prefix),
            )
        )
    return tuple(clips)


def _goes_with(name: str, video: str, videos: Mapping[str, str], others: set[str]) -> bool:
    """Whether a member belongs to a video: itself, and what is neither a video nor named after another one."""
    return name == video or (name not in videos and not name.startswith(tuple(others)))


def _member(member: TarMember) -> Member:
    return Member(name=member.name, offset=member.offset, length=member.length)


def _fault(members: Sequence[TarMember], video: str, prefix: str) -> str | None:
    """Fault of a clip that cannot be read, by its members."""
    for member in members:
        if member.fault and (member.name == video or member.name.removeprefix(prefix) in _TEXTS):
            return f"its member {member.name} cannot be read: {member.fault}"
        if member.name == video and member.length == 0:
            return f"its member {member.name} is empty (0 bytes); drop the sample"
    return None


def _contents(uri: str, place: str, listing: TarListing) -> TarContents:
    samples: dict[str, list[TarMember]] = defaultdict(list)
    left_out: dict[str, list[str]] = defaultdict(list)
    for member in listing.members:
        key, suffix = split_name(member.name)
        if not PurePosixPath(key).name or member.name.endswith("/"):
            if is_video(suffix) and not suffix.startswith("_"):  # `._NAME` is what macOS adds to every file
                left_out["have names that begin with a dot, which no WebDataset reader sees; rename them"].append(member.name)
            continue
        samples[key].append(
            TarMember(name=suffix, offset=member.offset, length=member.length, fault=member.fault, cut_short=member.cut_short)
        )
        if member.fault and not member.cut_short and not is_video(suffix) and suffix.rsplit(".", 1)[-1] not in _TEXTS:
            left_out[f"cannot be read: {member.fault}"].append(member.name)
    cut_short = [key for key, members in samples.items() if any(member.cut_short for member in members)]
    whole = len({split_name(member.name)[0] for member in listing.members[: listing.before_break]} - set(cut_short))
    for key in cut_short:
        del samples[key]
    problems = [*_damage(uri, listing, whole=whole, found=len(samples)), *_left_out(uri, left_out)]
    clips = [found for key, members in samples.items() if (found := video_clips(members, key))]
    if not clips and not problems:
        names = ", ".join(sorted({member.name for members in samples.values() for member in members})[:20]) or "nothing"
        problems.append(DataError(f"{uri}: no sample has a video member (found {names}); pass only tars with .mp4 members"))
    return TarContents(uri=uri, place=place, samples=tuple(clips), problems=tuple(problems))


def split_name(name: str) -> tuple[str, str]:
    """`__key__` and suffix of a member's name, as webdataset splits it: at the first dot of the file name."""
    directory, _, file = name.rpartition("/")
    stem, _, suffix = file.partition(".")
    return f"{directory}/{stem}" if directory else stem, suffix


def _damage(uri: str, listing: TarListing, *, whole: int, found: int) -> Iterator[DataError]:
    """Error of the places where a tar is damaged: one for all."""
    if not listing.breaks:
        return
    more = f"; and at {len(listing.breaks) - 1} more places" if len(listing.breaks) > 1 else ""
    if not listing.members:
        yield DataError(f"{uri}: not a tar, or damaged from its beginning ({listing.breaks[0]}{more}); fetch it again or drop it")
        return
    behind = f", {found - whole} more were found behind that" if found > whole else ""
    yield DataError(f"{uri}: damaged after {whole} whole samples{behind} ({listing.breaks[0]}{more}); fetch it again")


def _left_out(uri: str, left_out: Mapping[str, Sequence[str]]) -> Iterator[DataError]:
    for reason, names in left_out.items():
        yield DataError(f"{uri}: {len(names)} members, the first is {names[0]!r}, are left out: they {reason}")
