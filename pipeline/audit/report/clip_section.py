"""The clips of the page, worst first, each clip once: in motion, as stills, or in words, within what the page may weigh."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.audit.report.clip_card import ClipCard, clip_card
from pipeline.audit.report.clip_material import ClipMaterial, read_material
from pipeline.audit.report.clip_pictures import (
    MAX_TRACKS,
    SPRITE_COLUMNS,
    ClipWindow,
    animation_window,
    data_uri,
    drawing_order,
    frame_likeness,
    likeness_raster,
    shown_size,
    sprite,
    still_window,
    track_document,
    visibility_raster,
)
from pipeline.audit.report.wording import counted
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.summing.records import AuditSummary, ClipBrief
from pipeline.errors import DataError, TrackmillError
from pipeline.labels import read_label_set
from pipeline.records import ClipRecord, LabelSet
from pipeline.shards.tombstones import read_tombstones
from pipeline.video.reader import VideoData

CARD_RESERVE = 100_000  # bytes kept free for each card to come: its words, its rasters, four stills; at most half of its equal share


@dataclass(frozen=True, kw_only=True, slots=True)
class Raster:
    """A picture of all tracks over all frames, under a moving clip."""

    title: str
    words: str
    uri: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Player:
    """Frames of a clip as one picture and its tracks as numbers, which the page's script draws."""

    key: str
    height: int
    width: int
    frames: tuple[int, ...]
    document: Mapping[str, Any]  # what the script reads, in JSON types
    rasters: tuple[Raster, ...]
    notes: tuple[str, ...]  # what is not shown


CardWriter = Callable[[ClipCard, Player | None], str]  # a card as HTML


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipGroup:
    """Clips of one heading."""

    title: str
    count: str  # how many are listed, and of how many
    words: str
    briefs: Sequence[ClipBrief]
    folded: bool
    cards: tuple[str, ...] = ()  # as HTML


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipSection:
    """All clips of the page."""

    groups: tuple[ClipGroup, ...]
    num_stills: int = 0  # clips that are not in motion, as the page would weigh too much


def clips_without_cards(summary: AuditSummary) -> ClipSection:
    """The section as it stands before its cards are made, at its longest: as if all clips were stills.

    Clips that are not kept come first; those that are kept are folded away, unless there is nothing else to see.
    """
    near = {brief.key for brief in summary.borderline}
    listed = {brief.key: brief for brief in (*summary.worst, *summary.borderline, *summary.random_keeps)}
    kept = [brief for brief in listed.values() if brief.verdict.decision == "keep"]
    num_kept = summary.decisions.get("keep", 0)
    refused = _group(
        "Not kept",
        "Clips in error first, then those with the lowest mean weight of their tracks.",
        [brief for brief in listed.values() if brief.verdict.decision != "keep"],
        num_clips=summary.num_clips - num_kept,
    )
    close = _group(
        "Kept, but near a limit",
        "A small change of a limit, or of what was measured, would leave these clips out.",
        [brief for brief in kept if brief.key in near],
    )
    others = [brief for brief in kept if brief.key not in near]
    good = _group("Kept", "The lowest mean weights first, then a random choice.", others, num_clips=num_kept - len(close.briefs))
    groups = (refused, close, good)
    opened = next((group for group in groups if group.briefs), None)
    folded = tuple(replace(group, folded=bool(group.briefs) and group is not opened) for group in groups)
    return ClipSection(groups=folded, num_stills=len(listed))


def _group(title: str, words: str, briefs: Sequence[ClipBrief], *, num_clips: int | None = None) -> ClipGroup:
    """A group that is not folded.

    Args:
        num_clips: so many there are in the dataset; None where nobody counted.
    """
    whole = num_clips is None or num_clips <= len(briefs)
    count = counted(len(briefs), "clip") if whole else f"{len(briefs):,} of {num_clips:,} clips"
    return ClipGroup(title=title, count=count, words=words, briefs=briefs, folded=False)


def clips_with_cards(root: str, audit: AuditSet, section: ClipSection, budget: int, write: CardWriter) -> ClipSection:
    """The section with its cards, which take at most `budget` bytes together if their words do.

    Once a clip in motion is too much, those after it show stills.
    """
    maker = _CardMaker(root, audit, write, budget, sum(len(group.briefs) for group in section.groups))
    groups = tuple(replace(group, cards=tuple(maker.card(brief) for brief in group.briefs)) for group in section.groups)
    return ClipSection(groups=groups, num_stills=maker.num_stills)


class _CardMaker:
    """Makes card after card, and keeps count of what is left of the page's weight."""

    def __init__(self, root: str, audit: AuditSet, write: CardWriter, budget: int, num_cards: int) -> None:
        self._root, self._audit, self._write = root, audit, write
        self._labels, self._tombstones = provenance_of(root, audit), read_tombstones(root)
        self._budget, self._waiting = budget, num_cards
        self._reserve = min(CARD_RESERVE, budget // max(2 * num_cards, 1))
        self.num_stills = 0

    def card(self, brief: ClipBrief) -> str:
        """The next card."""
        self._waiting -= 1
        card = self._written(read_material(self._root, self._audit, brief, self._tombstones))
        self._budget -= len(card.encode())
        return card

    def _written(self, material: ClipMaterial) -> str:
        """With the most in motion that there is room for; the words stand in any case."""
        card = clip_card(material, self._root, self._audit, self._labels)
        record, video = material.entry.record if material.entry is not None else None, material.video
        if record is None or video is None:
            return self._write(card, None)
        try:
            if not self.num_stills:
                moving = self._write(card, _player(material, record, video, _window(material, record)))
                if self._fits(moving):
                    return moving
            still = self._write(card, _player(material, record, video, still_window(record.frames)))
        except DataError as error:
            return self._write(_remarked(card, f"the video cannot be shown: {error}"), None)
        if self._fits(still):
            self.num_stills += 1
            return still
        return self._write(card if card.remarks else _remarked(card, "No picture: the page would get too large."), None)

    def _fits(self, card: str) -> bool:
        return len(card.encode()) <= self._budget - self._reserve * self._waiting


def _remarked(card: ClipCard, remark: str) -> ClipCard:
    return replace(card, remarks=(*card.remarks, remark))


def provenance_of(root: str, audit: AuditSet) -> LabelSet | None:
    """Provenance of the audited labels; None if it cannot be read."""
    try:
        return read_label_set(root, audit.label_set)
    except TrackmillError:
        return None


def _window(material: ClipMaterial, record: ClipRecord) -> ClipWindow:
    likeness = None
    if material.tracks is not None and material.labels is not None:
        likeness = frame_likeness(material.tracks.ncc, material.labels.visibility)
    return animation_window(record.frames, record.fps, likeness)


def _player(material: ClipMaterial, record: ClipRecord, video: VideoData, window: ClipWindow) -> Player:
    height, width = shown_size(record)
    document: dict[str, Any] = {
        "sprite": data_uri(sprite(video, record, window.frames), "image/webp"),
        "columns": min(SPRITE_COLUMNS, len(window.frames)),
        "height": height,
        "width": width,
        "rate": window.rate,
        "frames": list(window.frames),
        "num_frames": record.frames,
        "tracks": 0,
    }
    if material.labels is not None and material.tracks is not None:
        stored = (record.height, record.width)
        document |= track_document(material.labels, material.tracks.weight, window, stored=stored, shown=(height, width))
    return Player(
        key=record.key,
        height=height,
        width=width,
        frames=window.frames,
        document=document,
        rasters=_rasters(material),
        notes=_notes(material, record, window),
    )


def _rasters(material: ClipMaterial) -> tuple[Raster, ...]:
    labels, tracks = material.labels, material.tracks
    if labels is None or tracks is None or not labels.visibility.size:
        return ()
    order = drawing_order(tracks.weight)
    visibility = data_uri(visibility_raster(labels, tracks.weight, order), "image/png")
    likeness = data_uri(likeness_raster(labels, tracks.ncc, order), "image/png")
    return (
        Raster(title="Visibility", words="in the colour of the weight where visible", uri=visibility),
        Raster(title="Similarity (NCC)", words="to the query's patch", uri=likeness),
    )


def _notes(material: ClipMaterial, record: ClipRecord, window: ClipWindow) -> tuple[str, ...]:
    notes = []
    step = window.frames[1] - window.frames[0] if len(window.frames) > 1 else 1
    if window.frames[0] > 0 or window.frames[-1] + step < record.frames:
        first, last = (record.timestamps[place] - record.timestamps[0] for place in (window.frames[0], window.frames[-1]))
        length = record.end_s - record.start_s
        notes.append(f"Shown: {first:.1f} s to {last:.1f} s of {length:.1f} s, the part where points resemble their queries least.")
    num_tracks = 0 if material.tracks is None else len(material.tracks.weight)
    if num_tracks > MAX_TRACKS:
        notes.append(f"{MAX_TRACKS} of {num_tracks:,} tracks are drawn, chosen evenly by weight.")
    return tuple(notes)
