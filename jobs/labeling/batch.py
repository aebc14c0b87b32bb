"""Labelling a batch of clips: together, clip by clip where that fails, and back again where the way back is asked for."""

import logging
from collections.abc import Sequence
from functools import partial

from jobs.labeling.cycle import clip_reversed, with_cycle_error
from jobs.labeling.outcome import Unlabelled, at_border, noted
from labelers import Labeler, kind_of
from pipeline.errors import DataError
from pipeline.labels import kind_named
from pipeline.records import ClipFrames, Labels, TrackLabels

_LOG = logging.getLogger(__name__)
Labelled = dict[str, Labels | Unlabelled]  # by key


def label_batch(labeler: Labeler, name: str, clips: Sequence[ClipFrames]) -> Labelled:
    """Labels of clips: the batch together; if that fails, clip by clip, so that only the bad one is lost.

    Args:
        name: of the labeler, for messages.
    """
    together = at_border(clips[0].key, partial(_label, labeler, name, clips)) if clips else []
    if not isinstance(together, Unlabelled):
        return {clip.key: labels for clip, labels in zip(clips, together, strict=True)}
    if len(clips) == 1:
        return {clips[0].key: together}
    _LOG.info("batch of %d clips failed (%s); labelling them one by one", len(clips), together.reason)
    note = f"labelled alone: a batch of {len(clips)} clips did not fit into memory" if together.status == "quarantined" else None
    return {clip.key: at_border(clip.key, partial(_label_alone, labeler, name, clip, note)) for clip in clips}


def label_there_and_back(labeler: Labeler, name: str, clips: Sequence[ClipFrames]) -> Labelled:
    """Labels of clips with the cycle error of their tracks. A way back that fails leaves it out and a note: the clip keeps its labels."""
    results = label_batch(labeler, name, clips)
    found = {clip.key: (clip, labels) for clip in clips if isinstance(labels := results[clip.key], TrackLabels)}
    ways = {key: at_border(key, partial(clip_reversed, clip, labels)) for key, (clip, labels) in found.items()}
    returned = label_batch(labeler, name, [way for way in ways.values() if isinstance(way, ClipFrames)])
    for key, (clip, labels) in found.items():
        way = ways[key]
        back = way if isinstance(way, Unlabelled) else returned[key]
        measured = at_border(key, partial(with_cycle_error, clip, labels, back)) if isinstance(back, TrackLabels) else back
        if isinstance(measured, Unlabelled):
            measured = noted(labels, f"no cycle error, the way back failed: {measured.reason}")
        results[key] = measured
    return results


def _label(labeler: Labeler, name: str, clips: Sequence[ClipFrames]) -> list[Labels]:
    labels, record = list(labeler.label(clips)), kind_named(kind_of(labeler)).record
    if len(labels) != len(clips) or not all(isinstance(each, record) for each in labels):
        kinds = ", ".join(type(each).__name__ for each in labels) or "nothing"
        raise DataError(f"labeler {name} gave {kinds} for {len(clips)} clips, expected one {record.__name__} for each")
    return labels


def _label_alone(labeler: Labeler, name: str, clip: ClipFrames, note: str | None) -> Labels:
    (labels,) = _label(labeler, name, [clip])
    return noted(labels, note, first=True)
