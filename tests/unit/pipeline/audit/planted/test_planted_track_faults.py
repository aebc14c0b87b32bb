"""Each fault is found by the measures meant for it, in the tracks that have it and in no others; and it costs them their weight."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from labelers import make_labeler
from pipeline.audit.auditing import track_evidence
from pipeline.audit.clips import measure_clip_labels
from pipeline.audit.records import TrackMeasures
from pipeline.audit.verdict import ClipRules, Verdict, clip_verdict
from pipeline.audit.weights import frame_weights, track_weights
from pipeline.records import ClipFrames, FramesInMemory, TrackLabels
from tests.track_audit import measure_tracks
from tests.unit.pipeline.audit.planted import faults
from tests.unit.pipeline.audit.planted.filmed import HEIGHT_WIDTH, Filmed

# From where on a measure is suspicious in this scene.
TOO_LARGE = {
    "fb_cycle": 2.0,
    "fb_all": 2.0,
    "colour_drift": 25.0,
    "realign_mean": 2.5,
    "realign_max": 10.0,
    "realign_long_mean": 2.5,
    "realign_long_max": 5.0,
    "flow_drift_mean": 3.0,
    "flow_drift_max": 8.0,
    "flicker": 0.2,
    "accel_max": 4.0,
    "jump": 12.0,
    "neigh_max": 4.0,
    "disagree_median": 4.0,
    "disagree_max": 4.0,
    "oof": 0.0,
    "collapse": 0.0,
    "static_stick": 0.0,
}
TOO_SMALL = {"fb_agree": 0.8, "ncc_min": 0.4, "ncc_mean": 0.7, "len": 8.0}
FOUND_BY = {  # share of the faulty tracks that each measure must find suspicious
    faults.duplicated: {"collapse": 1, "jump": 1, "neigh_max": 1, "ncc_mean": 1, "fb_cycle": 1},
    faults.frozen: {"static_stick": 1, "neigh_max": 1, "ncc_mean": 1, "fb_cycle": 1},
    faults.jumping: {"jump": 1, "accel_max": 1, "ncc_min": 1, "disagree_max": 1},
    faults.swapped: {"fb_cycle": 1, "neigh_max": 1, "ncc_min": 1, "disagree_max": 1, "ncc_mean": 0.5},  # half are seen longer before
    faults.drifting: {
        "fb_cycle": 1,
        "ncc_mean": 1,
        "neigh_max": 0.8,
        "disagree_max": 1,
        "realign_mean": 1,
    },  # one drifts towards a depth edge
    faults.inverted: {"fb_agree": 1, "ncc_mean": 1, "fb_cycle": 1},
    faults.outside: {"oof": 1},
    faults.blinking: {"flicker": 1, "fb_agree": 1},
}
SMOOTH = (faults.frozen, faults.swapped, faults.drifting)  # nothing jumps: where two cross, their courses meet


@cache
def planted(filmed: Filmed, fault: faults.Plant) -> tuple[TrackLabels, np.ndarray, TrackMeasures]:
    labels, victims = filmed.with_fault(fault)
    return labels, victims, measure_tracks(labels, filmed.grey, cycle=filmed.cycle(labels), other=filmed.labels)


def suspects(measures: TrackMeasures, *, but: np.ndarray) -> dict[str, set[int]]:
    """Tracks that each measure finds suspicious; of those in `but` a poor patch somewhere says nothing."""
    values = dict(measures.items())
    suspicious = {name: values[name] > limit for name, limit in TOO_LARGE.items()}
    suspicious |= {name: values[name] < limit for name, limit in TOO_SMALL.items()}
    found = {name: set(np.flatnonzero(which).tolist()) for name, which in suspicious.items()}
    found["ncc_min"] -= set(but.tolist())
    return {name: tracks for name, tracks in found.items() if tracks}


def judged(labels: TrackLabels, measures: TrackMeasures) -> Verdict:
    evidence = track_evidence(measures, track_weights(measures))
    return clip_verdict(measure_clip_labels(labels, *HEIGHT_WIDTH, tracks=evidence), ClipRules())


def test_right_tracks_are_not_suspicious_and_keep_their_weight(filmed):
    measures = measure_tracks(filmed.labels, filmed.grey, cycle=filmed.cycle(filmed.labels), other=filmed.labels)
    assert suspects(measures, but=filmed.far) == {}  # whose patches show an edge of the board before them
    assert track_weights(measures).weight.min() > 0.95
    assert judged(filmed.labels, measures).reasons == ()


@pytest.mark.parametrize("fault", FOUND_BY, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_where_it_is_and_nowhere_else(filmed, fault):
    _, victims, measures = planted(filmed, fault)
    found = suspects(measures, but=np.setdiff1d(filmed.far, victims))
    for measure, least in FOUND_BY[fault].items():
        assert len(found[measure] & set(victims.tolist())) >= least * len(victims), measure
    involved = {*victims.tolist(), *((victims + 1).tolist() if fault is faults.duplicated else ())}
    assert set().union(*found.values()) == involved
    if fault in SMOOTH:
        assert not {"jump", "accel_max"} & set(found)


@pytest.mark.parametrize("fault", [fault for fault in FOUND_BY if fault not in (faults.jumping, faults.blinking)], ids=lambda f: f.__name__)
def test_faulty_tracks_lose_their_weight_and_the_others_keep_it(filmed, fault):
    _, victims, measures = planted(filmed, fault)
    weight = track_weights(measures).weight
    assert weight[victims].max() < 0.1
    assert np.delete(weight, victims).min() > 0.95


def test_a_jump_in_one_frame_costs_that_frame_its_weight(filmed):
    labels, victims, measures = planted(filmed, faults.jumping)
    weight = frame_weights(labels, ncc=measures.ncc, weight=track_weights(measures).weight)[:, victims]
    assert weight[13].max() < 0.3
    assert np.median(weight[13]) < 0.11
    assert np.delete(weight, 13, axis=0).min() > 0.6


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.duplicated, "collapsed_tracks"),
        (faults.frozen, "overlay_tracks"),
        (faults.blinking, "flicker"),
        (faults.drifting, "low_survival"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_fault_in_half_of_the_tracks_is_named_by_the_verdict(filmed, fault, reason):
    def often(patient: faults.Patient) -> np.ndarray:
        """In every second track; frozen ones in every eighth, so that their neighbours show that something moves."""
        every = 8 if fault is faults.frozen else 2
        victims = np.arange(0, patient.tracks.shape[1] - 1, every)
        return fault(replace(patient, lone=victims))

    labels, _, measures = planted(filmed, often)
    assert reason in judged(labels, measures).reasons


def test_half_a_pixel_is_hardly_seen_by_any_measure_and_costs_no_weight(filmed):
    _, victims, measures = planted(filmed, faults.shifted)
    found = suspects(measures, but=filmed.far)
    assert len(set().union(*found.values())) < 0.1 * len(victims)
    assert track_weights(measures).weight.min() > 0.95


@pytest.mark.parametrize("labeler", ["dis-flow", "lucas-kanade"])
def test_half_a_pixel_shows_on_a_clip_that_stands(filmed, labeler):
    still = FramesInMemory(np.repeat(filmed.rgb[:1], 6, axis=0))
    labels = make_labeler(labeler).label([ClipFrames(key="still", reader=still, queries=filmed.labels.queries)])[0]
    assert np.abs(labels.tracks_px - labels.queries[:, 1:]).max() < 0.02
    wrong, _ = filmed.with_fault(faults.shifted, labels)
    assert np.abs(wrong.tracks_px - wrong.queries[:, 1:]).max() > 0.45
