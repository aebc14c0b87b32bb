import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from labelers import LABELERS, LabelerProvenance, make_labeler
from labelers.registry import labeler_options
from pipeline.errors import ConfigError
from pipeline.records import LabelSet, TrackLabels

PLUG_IN = """
import numpy as np
from labelers import LabelerProvenance
from pipeline.records import TrackLabels

class StandingLabeler:
    def __init__(self, *, shift_px: float = 0.0):
        self.shift_px = shift_px

    def label(self, clips):
        return [self.label_clip(clip) for clip in clips]

    def label_clip(self, clip):
        tracks = np.repeat(clip.queries[None, :, 1:] + np.float32(self.shift_px), clip.reader.shape[0], axis=0)
        return TrackLabels(queries=clip.queries, tracks_px=tracks, visibility=np.ones(tracks.shape[:2], bool))

    def provenance(self):
        return LabelerProvenance(name="standing", options={"shift_px": self.shift_px}, visibility_rule="always visible")

class Half:
    def label(self, clips):
        return []

def needs_weights(*, weights):
    return StandingLabeler()
"""


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    (tmp_path / "my_labelers.py").write_text(PLUG_IN)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_labelers", None)


@pytest.mark.parametrize(
    "name", [name for name in LABELERS if not any(word in name for word in ("cotracker", "depth", "track4world"))]
)  # those need weights: see their own tests
def test_every_name_of_the_registry_makes_a_labeler_of_that_name(name):
    made = make_labeler(name).provenance()
    assert made.name == name
    assert LabelSet(labeler=made.name, configuration=made.options).name.startswith(f"{name}-")


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="unknown labeler 'dis_flow'; known are .*dis-flow, lucas-kanade"):
        make_labeler("dis_flow")


def test_an_unknown_option_is_refused_with_the_labeler_s_own():
    with pytest.raises(ConfigError, match="lucas-kanade has no option presets; its options are .*window, pyramid_levels"):
        make_labeler("lucas-kanade", presets="fast")


@pytest.mark.usefixtures("plug_in")
def test_the_options_of_a_labeler_are_known_without_making_it():
    assert {"preset", "blur_px", "memory_mb"} <= set(labeler_options("dis-flow"))
    assert labeler_options("my_labelers:needs_weights") == ("weights",)
    assert labeler_options("my_labelers:StandingLabeler") == ("shift_px",)
    with pytest.raises(ConfigError, match="unknown labeler"):
        labeler_options("dis_flow")


@pytest.mark.usefixtures("plug_in")
def test_a_labeler_of_one_s_own_comes_in_by_module_and_attribute(moving_plane):
    labeler = make_labeler("my_labelers:StandingLabeler", shift_px=2.0)
    labels = labeler.label([moving_plane([(0, 5, 6)])])[0]
    assert isinstance(labels, TrackLabels)
    np.testing.assert_array_equal(labels.tracks_px[-1], [[7, 8]])
    assert labeler.provenance().name == "standing"


@pytest.mark.usefixtures("plug_in")
@pytest.mark.parametrize(
    ("door", "options", "message"),
    [
        ("no_such_module:Thing", {}, "cannot import 'no_such_module'"),
        ("my_labelers:Thing", {}, "has no attribute 'Thing'"),
        ("my_labelers:PLACE", {}, "has no attribute"),
        ("my_labelers:np", {}, "is a module, expected a class or function"),
        ("my_labelers:Half", {}, "made a Half without provenance"),
        ("my_labelers:StandingLabeler", {"window": 3}, "no option window; its options are shift_px"),
        ("my_labelers:needs_weights", {}, "needs the option weights"),
        (":x", {}, "cannot import ''"),
    ],
)
def test_a_door_that_does_not_open_says_why(door, options, message):
    with pytest.raises(ConfigError, match=message):
        make_labeler(door, **options)


def test_a_provenance_must_fit_a_directory_name_and_json():
    with pytest.raises(ConfigError, match="'My Labeler' may hold only"):
        LabelerProvenance(name="My Labeler", options={}, visibility_rule="")
    with pytest.raises(ConfigError, match="JSON"):
        LabelerProvenance(name="mine", options={"path": Path(".")}, visibility_rule="")


def test_importing_and_making_a_labeler_loads_no_torch_and_sets_no_seed():
    program = (
        "import random, sys, numpy as np; random.seed(5); np.random.seed(5); import labelers; labelers.make_labeler('dis-flow');"
        "a = (random.random(), np.random.rand()); random.seed(5); np.random.seed(5); assert a == (random.random(), np.random.rand());"
        "print(sorted({'torch', 'ray', 'av', 'pyarrow', 'typer', 'labelers.cotracker_package'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.strip() == "[]"
