import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from labelers import make_labeler
from labelers.cotracker3 import CoTracker3Engine, EngineConfig
from pipeline.errors import ConfigError, DataError
from pipeline.records import ClipFrames, FramesInMemory
from tests.cotracker3_golden import make_filled

SMALL = {"height": 64, "width": 96, "iterations": 1, "support_grid": 0}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Weights by formula as files, by variant."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for variant in ("offline", "online"):
        paths[variant] = str(folder / f"{variant}.pth")
        torch.save({"model": make_filled(variant).state_dict()}, paths[variant])
    return paths


def make_clip(num_frames=12, *, queries=None, key="clip", size=(72, 100)):
    """A texture that drifts."""
    rng = np.random.default_rng(7)
    texture = rng.integers(0, 255, (size[0] + 40, size[1] + 80, 3)).astype(np.uint8)
    frames = np.stack([texture[t % 40 : t % 40 + size[0], 2 * t % 80 : 2 * t % 80 + size[1]] for t in range(num_frames)])
    if queries is None:
        queries = [[0, 20, 30], [5, 50.5, 40.25], [num_frames - 1, 80, 10]]
    return ClipFrames(key=key, reader=FramesInMemory(frames), queries=np.array(queries, np.float32).reshape(-1, 3))


class Counted:
    """A reader that counts its passes and gives no array."""

    def __init__(self, frames):
        self.frames, self.passes = frames, 0

    @property
    def shape(self):
        return self.frames.shape[:3]

    def __iter__(self):
        self.passes += 1
        return iter(self.frames)


def test_offline_gives_the_engines_numbers_and_both_raw_scores(checkpoints):
    clip = make_clip()
    labeler = make_labeler("cotracker3-offline", checkpoint=checkpoints["offline"], **{**SMALL, "support_grid": 2})
    (labels,) = labeler.label([clip])
    found = CoTracker3Engine(labeler._model, EngineConfig(iterations=1, support_grid=2)).track(clip.array(), clip.queries)
    np.testing.assert_array_equal(labels.tracks_px, found.tracks_px)
    np.testing.assert_array_equal(labels.visibility_score, found.visibility)
    np.testing.assert_array_equal(labels.confidence, found.confidence)
    for n, (t, x, y) in enumerate(clip.queries):
        assert labels.visibility[int(t), n]
        np.testing.assert_array_equal(labels.tracks_px[int(t), n], [x, y])


@pytest.mark.parametrize("rule", ["predictor", "product"])
def test_the_boolean_follows_from_the_stored_scores_by_the_recorded_rule(rule, checkpoints):
    clip = make_clip(queries=[[0, x, y] for x in range(5, 95, 10) for y in range(5, 70, 10)])
    labeler = make_labeler("cotracker3-offline", checkpoint=checkpoints["offline"], visibility_rule=rule, **SMALL)
    (labels,) = labeler.label([clip])
    expected = labels.visibility_score > 0.9 if rule == "predictor" else labels.visibility_score * labels.confidence > 0.6
    np.testing.assert_array_equal(labels.visibility[1:], expected[1:])
    assert ("0.9" if rule == "predictor" else "0.6") in labeler.provenance().visibility_rule


def test_online_says_nothing_before_a_query_and_reads_a_stream_once(checkpoints):
    clip = make_clip(30, queries=[[0, 20, 30], [5, 50, 40], [29, 80, 10]])
    reader = Counted(clip.reader.frames)
    labeler = make_labeler("cotracker3-online", checkpoint=checkpoints["online"], **SMALL)
    (labels,) = labeler.label([ClipFrames(key="clip", reader=reader, queries=clip.queries)])
    assert reader.passes == 1
    assert labels.tracks_px.shape == (30, 3, 2)
    for n, (t, x, y) in enumerate(clip.queries):
        before = slice(0, int(t))
        assert not labels.visibility[before, n].any()
        assert (labels.visibility_score[before, n] == 0).all()
        np.testing.assert_array_equal(labels.tracks_px[before, n], np.broadcast_to([x, y], (int(t), 2)))
        assert labels.visibility[int(t), n]
    assert np.ptp(labels.tracks_px[:, 0], axis=0).min() > 0


@pytest.mark.soak
def test_windows_before_the_first_query_are_left_out_without_changing_the_rest(checkpoints, monkeypatch):
    queries = [[27, 20, 30], [33, 50, 40]]
    labeler = make_labeler("cotracker3-online", checkpoint=checkpoints["online"], **SMALL)
    (labels,) = labeler.label([make_clip(40, queries=queries)])
    monkeypatch.setattr("labelers.cotracker3.engine.first_window", lambda _queries: 0)
    (all_windows,) = labeler.label([make_clip(40, queries=queries)])
    np.testing.assert_array_equal(labels.tracks_px, all_windows.tracks_px)
    np.testing.assert_array_equal(labels.visibility_score, all_windows.visibility_score)


def test_a_clip_longer_than_the_offline_window_goes_to_the_online_model(checkpoints):
    short, long = make_clip(6, key="short"), make_clip(12, key="long")
    options = {"checkpoint": checkpoints["offline"], "max_frames": 8, **SMALL}
    labeler = make_labeler("cotracker3-offline", online_checkpoint=checkpoints["online"], **options)
    both = labeler.label([short, long])
    online = make_labeler("cotracker3-online", checkpoint=checkpoints["online"], visibility_rule="predictor", **SMALL).label([long])[0]
    np.testing.assert_array_equal(both[1].tracks_px, online.tracks_px)
    np.testing.assert_array_equal(both[1].visibility, online.visibility)
    assert both[0].tracks_px.shape[0] == 6
    assert labeler.provenance().options["online_checkpoint_sha256"]
    with pytest.raises(DataError, match=r"clip long: 12 frames.*max_frames=8.*online_checkpoint"):
        make_labeler("cotracker3-offline", **options).label([long])


@pytest.mark.parametrize("variant", ["offline", "online"])
def test_reseeding_keeps_the_clips_own_tracks_and_adds_others(variant, checkpoints):
    options = {"checkpoint": checkpoints[variant], **SMALL}
    clip = make_clip(12, queries=[[0, x, y] for x in (20, 40, 60) for y in (20, 40)])
    plain = make_labeler(f"cotracker3-{variant}", **options).label([clip])[0]
    seeded = make_labeler(f"cotracker3-{variant}", reseed_below=1.0, reseed_limit=3, **options).label([clip])[0]
    np.testing.assert_array_equal(seeded.tracks_px[:, :6], plain.tracks_px)
    assert 6 < len(seeded.queries) <= 18
    assert set(seeded.queries[6:, 0]) <= {0, 8}


def test_labels_do_not_depend_on_the_company(checkpoints):
    labeler = make_labeler("cotracker3-offline", checkpoint=checkpoints["offline"], **SMALL)
    clips = [make_clip(key="a"), make_clip(8, key="b", queries=[[0, 1, 2]]), make_clip(key="c", queries=np.zeros((0, 3)))]
    together = labeler.label(clips)
    np.testing.assert_array_equal(together[1].tracks_px, labeler.label(clips[1:2])[0].tracks_px)
    assert together[2].tracks_px.shape == (12, 0, 2)


@pytest.mark.soak
def test_bfloat16_drifts_a_little_and_is_recorded(checkpoints):
    clip, options = make_clip(), {"checkpoint": checkpoints["offline"], **SMALL}
    exact = make_labeler("cotracker3-offline", **options).label([clip])[0]
    labeler = make_labeler("cotracker3-offline", precision="bfloat16", **options)
    rough = labeler.label([clip])[0]
    drift = np.abs(rough.tracks_px - exact.tracks_px)
    assert 0 < drift.max() < 1.5
    assert drift.mean() < 0.3
    assert rough.visibility_score.dtype == np.float32
    assert labeler.provenance().precision == "bfloat16"


def test_the_provenance_names_the_checkpoint_and_what_changes_labels_alone(checkpoints):
    one = make_labeler("cotracker3-offline", checkpoint=checkpoints["offline"], **SMALL).provenance()
    other = make_labeler("cotracker3-offline", checkpoint=checkpoints["offline"], correlation_mb=1, frames_at_once=3, **SMALL).provenance()
    assert one == other
    assert len(one.checkpoint_sha256) == 64
    assert "NC" in one.license
    assert {"visibility_rule", "backward", "support_grid", "iterations", "height", "width"} <= set(one.options)
    assert not {"device", "checkpoint", "precision"} & set(one.options)
    json.dumps(dict(one.options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"visibility_rule": "mine"}, "visibility_rule is 'mine'"),
        ({"precision": "float16"}, "precision is 'float16'"),
        ({"device": "abacus"}, "device 'abacus' cannot be used"),
        ({"height": 383}, "multiples of 4"),
        ({"checkpoint": "nowhere.pth"}, "nowhere.pth"),
        ({"sha256": "0" * 64}, "sha256"),
        ({"max_frames": 0}, "max_frames"),
    ],
)
def test_options_are_checked_when_the_labeler_is_made(options, message, checkpoints):
    with pytest.raises(ConfigError, match=message):
        make_labeler("cotracker3-offline", **{"checkpoint": checkpoints["offline"], **options})


def test_weights_of_the_other_variant_are_refused_with_the_labeler_to_use(checkpoints):
    with pytest.raises(ConfigError, match="cotracker3-online"):
        make_labeler("cotracker3-offline", checkpoint=checkpoints["online"])


def test_a_reader_that_breaks_its_promise_is_an_error(checkpoints):
    class Short(Counted):
        @property
        def shape(self):
            return (20, *self.frames.shape[1:3])

    clip = ClipFrames(key="c", reader=Short(make_clip(12).reader.frames), queries=np.array([[0, 5, 5]], np.float32))
    for variant in ("offline", "online"):
        labeler = make_labeler(f"cotracker3-{variant}", checkpoint=checkpoints[variant], **SMALL)
        with pytest.raises(DataError, match="12 frames arrived, 20 were promised"):
            labeler.label([clip])


LIMITED = """
    import resource, sys
    import numpy as np
    sys.path[:0] = ["."]
    from labelers import make_labeler
    from pipeline.records import ClipFrames, FramesInMemory
    labeler = make_labeler("cotracker3-offline", checkpoint=sys.argv[1], height=64, width=96, iterations=1, correlation_mb=4000)
    frames = np.random.default_rng(0).integers(0, 255, (12, 64, 96, 3)).astype(np.uint8)
    queries = np.column_stack([np.zeros(300), np.linspace(0, 95, 300), np.linspace(0, 63, 300)]).astype(np.float32)
    labeler.label([ClipFrames(key="warm", reader=FramesInMemory(frames), queries=queries[:2])])
    for limit_mb in map(int, sys.argv[2:]):
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + limit_mb * 2**20, resource.RLIM_INFINITY))
        try:
            print(limit_mb, labeler.label([ClipFrames(key="big", reader=FramesInMemory(frames), queries=queries)])[0].degraded)
        except Exception as error:
            print(limit_mb, type(error).__name__, error)
"""


def test_out_of_memory_goes_down_the_ladder_and_says_so(checkpoints):
    """Real allocations fail here: the process may map only so much more memory; correlations ask for 0.5 GB at first."""
    command = [sys.executable, "-c", textwrap.dedent(LIMITED), checkpoints["offline"], "30", "200", "4000"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=environment)
    said = dict(line.split(" ", 1) for line in run.stdout.splitlines())
    assert "MemoryExhausted clip big: out of memory on the last rung" in said["30"], run
    assert "out of memory: one clip and one direction" in said["200"], run
    assert said["4000"] == "None", run
