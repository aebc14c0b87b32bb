"""One clip as a recording for the Rerun viewer; needs the `viz` extra."""

import json

import numpy as np

from jobs.showing.clips import LoadedClip, Shown, ShownClip, choose_clip, load_clip
from jobs.showing.pictures import audit_note
from pipeline import storage
from pipeline.audit.stored.audit_set import read_audit_set
from pipeline.drawing.clip_scene import ClipScene
from pipeline.drawing.style import colour_indices, levels, palette, ramp
from pipeline.errors import ConfigError, install_command
from pipeline.labels import read_label_set
from pipeline.records import ClipSample, TrackLabels
from pipeline.records.pixel_transforms import framing_of
from pipeline.shards.index import ARRAYS, read_member
from pipeline.stream.clip_arrays import add_labels, add_truth

SUFFIX = ".rrd"


def record_clip(shown: Shown, key: str | None, uri: str) -> None:
    """Write one clip, by default from the middle.

    Raises: ConfigError without rerun-sdk, or for another suffix; DataError if the clip, its labels or its truth do not read.
    """
    if not uri.lower().endswith(SUFFIX):
        raise ConfigError(f"--rerun {uri}: a recording is written as {SUFFIX}; give it that suffix")
    try:
        from pipeline.drawing.rerun_file import write_recording
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "rerun":
            raise
        raise ConfigError(f"--rerun needs the package rerun-sdk, which is not installed: {install_command('viz')}") from error
    write_recording(storage.absolute(uri), clip_scene(shown, choose_clip(shown.root, key)))


def clip_scene(shown: Shown, stored: ShownClip) -> ClipScene:
    """All that is known of a clip: tracks of the label set, or true ones without a set; cameras, depth and 3D tracks of its truth."""
    clip = load_clip(shown, stored)
    if clip.flow is not None:
        raise ConfigError(f"a recording shows no flow, which label set {shown.label_set} holds; draw it with --out FILE.mp4 or FILE.png")
    sample = _sample(shown, clip)
    labels = clip.labels if shown.label_set is not None else _true_labels(sample)
    return ClipScene(
        sample=sample,
        report=report_text(shown, clip),
        labels=labels,
        colours=None if labels is None else _colours(clip, labels),
        weights=clip.weights,
        ncc=clip.ncc,
    )


def report_text(shown: Shown, clip: LoadedClip) -> str:
    """Description of the clip, as Markdown."""
    entry, record = clip.stored.entry, clip.stored.record
    rows = {
        "source": entry.source,
        "seconds of the source": f"{record.start_s:.2f} to {record.end_s:.2f}",
        "stored in": f"shard {clip.stored.shard:06d}, split {entry.split}",
        "frames": f"{record.frames} of {record.width} x {record.height}, {record.fps:.3g} per second; {len(clip.frames)} shown",
        "licence": entry.license or "not stated",
        **_provenance(shown),
    }
    verdict = [f"**{audit_note(clip)}**", ""] if clip.audit is not None else []
    error = [_code(clip.audit.error), ""] if clip.audit is not None and clip.audit.error else []
    table = [f"| {name} | {_code(value)} |" for name, value in rows.items()]
    return "\n".join([f"# {entry.key}", "", *verdict, *error, "| | |", "|---|---|", *table, ""])


def _provenance(shown: Shown) -> dict[str, str]:
    rows: dict[str, str] = {}
    if shown.label_set is not None:
        labels = read_label_set(shown.root, shown.label_set)
        rows |= {"label set": labels.name, "labeler": labels.labeler, "checkpoint": labels.checkpoint or "none"}
        rows["configuration"] = json.dumps(labels.configuration, sort_keys=True)
    if shown.audit is not None:
        audit = read_audit_set(shown.root, shown.audit)
        calibrated = "calibrated" if audit.calibration is not None else "not calibrated: weights by the fallback"
        rows |= {"audit": audit.name, "weights": f"{audit.weights}, {calibrated}", "measures": audit.measures, "way back": audit.cycle}
    return rows


def _code(text: str) -> str:
    """Text that Markdown leaves as it is, also within a table."""
    plain = " ".join(text.replace("`", "'").replace("|", "/").split())
    return f"`{plain}`" if plain else ""


def _colours(clip: LoadedClip, labels: TrackLabels) -> np.ndarray:
    """uint8 "N 3": by weight where it is known, else by the place of the query."""
    if clip.weights is not None:
        return np.asarray(ramp()[levels(clip.weights)])
    return np.asarray(palette()[colour_indices(labels.queries, *clip.frames.shape[1:3])])


def _sample(shown: Shown, clip: LoadedClip) -> ClipSample:
    """The clip's frames with its truth, where it has any, and the depth of the label set in place of a true one."""
    entry, record, num_frames = clip.stored.entry, clip.stored.record, len(clip.frames)
    sample = ClipSample(
        key=entry.key,
        source=entry.source,
        split=entry.split,
        index=0,
        frames=clip.frames,
        frame_indices=np.arange(num_frames),
        frame_times=np.asarray(record.timestamps)[:num_frames] - record.timestamps[0],
        supervision="metric" if record.is_metric else "pseudo",
        is_metric=record.is_metric,
    )
    framing = framing_of((record.height, record.width), clip.frames.shape[1:3], "stretch")
    arrays = entry.member(ARRAYS)
    if arrays is not None:
        sample = add_truth(sample, read_member(shown.root, entry, arrays), record, framing)
    return sample if clip.depth is None else add_labels(sample, clip.depth, record, framing)


def _true_labels(sample: ClipSample) -> TrackLabels | None:
    """The true tracks that begin in these frames, drawn like labels; hidden where nothing is known of them."""
    if sample.tracks2d is None or sample.visibility is None or sample.query_frame is None:
        return None
    begun = np.flatnonzero(sample.query_frame >= 0)
    at = sample.query_frame[begun]
    seen = sample.visibility if sample.track_valid is None else sample.visibility & sample.track_valid
    return TrackLabels(
        queries=np.column_stack([at, sample.tracks2d[at, begun]]).astype(np.float32),
        tracks_px=sample.tracks2d[:, begun],
        visibility=seen[:, begun],
    )
