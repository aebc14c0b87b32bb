"""The moving picture of a card: frames as one WebP, tracks as numbers that the page's script draws, rasters of all frames below."""

from dataclasses import dataclass
from typing import Any

from pipeline.audit.report.clip_material import ClipMaterial
from pipeline.audit.report.clip_window import ClipWindow, animation_window, frame_likeness, still_window
from pipeline.audit.report.markup import Markup, data_block, element, joined
from pipeline.audit.report.pictures import SPRITE_COLUMNS, data_uri, likeness_raster, shown_size, sprite, visibility_raster
from pipeline.audit.report.track_data import MAX_TRACKS, drawing_order, track_document
from pipeline.errors import DataError
from pipeline.records import ClipRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Player:
    """Finished HTML, and whether it is in motion."""

    markup: Markup
    moving: bool


def make_player(material: ClipMaterial, budget: int, *, moving: bool = True) -> Player | None:
    """The clip in motion, or as four stills where that is not wanted or takes more than `budget` bytes; None where nothing can be shown.

    Raises: DataError if the video does not decode.
    """
    record = material.entry.record if material.entry is not None else None
    if record is None or material.video is None:
        return None
    animation = _player(material, record, _window(material, record)) if moving else None
    if animation is not None and len(animation) <= budget:
        return Player(markup=animation, moving=True)
    stills = _player(material, record, still_window(record.frames))
    return Player(markup=stills, moving=False) if len(stills) <= budget else None


def _window(material: ClipMaterial, record: ClipRecord) -> ClipWindow:
    likeness = None
    if material.tracks is not None and material.labels is not None:
        likeness = frame_likeness(material.tracks.ncc, material.labels.visibility)
    return animation_window(record.frames, record.fps, likeness)


def _player(material: ClipMaterial, record: ClipRecord, window: ClipWindow) -> Markup:
    if material.video is None:
        raise DataError(f"clip {record.key}: no video to draw; read it first")
    height, width = shown_size(record)
    document: dict[str, Any] = {
        "sprite": data_uri(sprite(material.video, record, window.frames), "image/webp"),
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
    canvas = element(
        "canvas",
        width=width,
        height=height,
        role="button",
        aria_label=f"Clip {record.key} with its tracks: play or pause, arrow keys step",
        tabindex="0",
    )
    controls = element(
        "div",
        element("button", "Play", type="button", class_="play", aria_label=f"Play clip {record.key}"),
        element("input", type="range", min="0", max=len(window.frames) - 1, value="0", step="1", aria_label=f"Frame of clip {record.key}"),
        element("output", f"frame {window.frames[0]}"),
        class_="controls",
    )
    parts = [element("div", canvas, class_="stage"), controls, _rasters(material), _words(material, record, window)]
    return element("div", *parts, data_block(document, class_="clip-data"), class_="player")


def _rasters(material: ClipMaterial) -> Markup | None:
    labels, tracks = material.labels, material.tracks
    if labels is None or tracks is None or not labels.visibility.size:
        return None
    order = drawing_order(tracks.weight)
    visibility = visibility_raster(labels, tracks.weight, order)
    likeness = likeness_raster(labels, tracks.ncc, order)
    return joined(
        [
            _raster(visibility, "Visibility", "visible in the colour of the weight"),
            _raster(likeness, "Likeness (NCC)", "to the query's patch"),
        ]
    )


def _raster(data: bytes, title: str, words: str) -> Markup:
    image = element("img", src=data_uri(data, "image/png"), alt=f"{title}: tracks by frames", loading="lazy", decoding="async")
    head = element("span", element("b", title), f" {words}", class_="raster-title")
    return element("div", head, element("div", image, element("i", class_="playhead"), class_="raster"), class_="raster-box")


def _words(material: ClipMaterial, record: ClipRecord, window: ClipWindow) -> Markup | None:
    words = []
    step = window.frames[1] - window.frames[0] if len(window.frames) > 1 else 1
    if window.frames[0] > 0 or window.frames[-1] + step < record.frames:
        seconds = [record.timestamps[place] - record.timestamps[0] for place in (window.frames[0], window.frames[-1])]
        words.append(
            f"Shown: {seconds[0]:.1f} s to {seconds[1]:.1f} s of {record.end_s - record.start_s:.1f} s, where points look least like their"
            " queries."
        )
    num_tracks = 0 if material.tracks is None else len(material.tracks.weight)
    if num_tracks > MAX_TRACKS:
        words.append(f"{MAX_TRACKS} of {num_tracks:,} tracks are drawn, an even choice by weight.")
    return element("p", " ".join(words), class_="note") if words else None
