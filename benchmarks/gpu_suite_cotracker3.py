"""CoTracker3's parts of the GPU suite: our engine against the plain reference, and bfloat16 against float32."""

import statistics
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from cotracker3 import compare, difference
from cotracker3_drift import CASE, drift
from cotracker3_sides import CASES, Case, Found, Run, Settings, make_reference, ours_model, run_model
from full_size import peak_memory, spread
from gpu_suite_rows import Row, SuiteOptions
from material import paired_seconds

from networks.layers.computing import PRECISIONS
from pipeline.synthetic import Light, Scene, SceneObject, pinhole
from pipeline.synthetic.mesh import box
from pipeline.synthetic.motions import standing

ALLOWED_PX = 1 / 32  # a step of the stored labels
_TOY_SIZE = (32, 48)


def parity(options: SuiteOptions) -> Iterator[Row]:
    """Largest differences of tracks and probabilities, all in float32: the reference too computes no convolution in TF32."""
    cases = {name: CASES[name] for name in ("backward-100", "streaming-100")}
    if options.toy:
        cases = {"streaming, toy": _toy("streaming", 9)}  # the other is in the speed's rows
    for name, case in cases.items():
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            found = compare(case, "reference", _settings(options, case), repeats=0)
        differences = {place: float(str(value)) for place, value in found.items() if "difference" in place}
        apart = differences["largest_track_difference_px"]
        fault = None if apart <= ALLOWED_PX else f"tracks lie up to {apart:.2g} px from the reference's, expected at most {ALLOWED_PX:.2g}"
        yield Row(what=name, precision="float32", against="reference", differences=_short(differences), fault=fault)


def speed(options: SuiteOptions) -> Iterator[Row]:
    """Our engine in both precisions; the reference is in float32 as torch sets it, which on a GPU is convolutions in TF32."""
    return _speed(options, compile=False)


def compiled_speed(options: SuiteOptions) -> Iterator[Row]:
    """The same with torch.compile."""
    return _speed(options, compile=True)


def precision_drift(options: SuiteOptions) -> Iterator[Row]:
    """How far bfloat16 leads tracks from those of float32, and each from the truth, in percent."""
    case = _toy("backward", 2) if options.toy else CASE
    found = drift(_settings(options, case), case, _wall(case) if options.toy else None)
    yield from (Row(what="against the truth", precision=name, against="truth", differences=found[name]) for name in PRECISIONS)
    apart = {f"tracks {name}, px": value for name, value in found["tracks apart px"].items()}
    apart["booleans, share"] = found["share of booleans that differ"]
    yield Row(what="against float32", precision="bfloat16", against="float32", differences=apart, details=found)


def _speed(options: SuiteOptions, *, compile: bool) -> Iterator[Row]:
    name, case = ("backward, toy", _toy("backward", 2)) if options.toy else ("backward-512", CASES["backward-512"])
    where, settings = torch.device(options.device), _settings(options, case, compile=compile)
    inputs = case.video(), case.queries()
    model, reference = ours_model(case, settings), make_reference(case, settings)
    expected, reference_memory = _warm_up(reference, inputs, where)
    for precision in PRECISIONS:
        ours = run_model(case, model, precision)
        found, memory = _warm_up(ours, inputs, where)
        pairs = paired_seconds(lambda run=ours: run(*inputs), lambda: reference(*inputs), repeats=options.repeats)
        seconds, theirs = zip(*pairs, strict=True)
        yield Row(
            what=f"our engine{', compiled' if compile else ''}, {name}",
            precision=precision,
            seconds=spread(list(seconds)),
            speed=statistics.median(slow / fast for fast, slow in pairs),
            against="reference",
            memory=memory,
            differences=_short(difference(found, expected)),
            details={"reference_seconds": spread(list(theirs)), "points": case.num_points, "frames": case.num_frames},
        )
        if precision == "float32":
            yield Row(what=f"reference, {name}", precision=precision, seconds=spread(list(theirs)), memory=reference_memory)


def _warm_up(run: Run, inputs: tuple[np.ndarray, np.ndarray], where: torch.device) -> tuple[Found, Mapping[str, float]]:
    """What is found, and the memory that it takes; kernels are made and chosen on the way."""
    with peak_memory(where) as memory:
        found = run(*inputs)
    return found, memory


def _settings(options: SuiteOptions, case: Case, *, compile: bool = False) -> Settings:
    checkpoint = options.checkpoint if case.variant == "offline" else None
    return Settings(device=options.device, compile=compile, checkpoint=checkpoint)


def _toy(mode: str, num_frames: int) -> Case:
    """Small in all that can be: the network has one size."""
    return Case(mode=mode, num_points=4, num_frames=num_frames, size=_TOY_SIZE, model_resolution=_TOY_SIZE, iterations=1)


def _wall(case: Case) -> Scene:
    """A wall of dots before a camera that goes sideways."""
    height, width = case.size
    cameras = np.tile(np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]]), (case.num_frames, 1, 1))
    cameras[:, 0, 3] = 0.1 * np.arange(case.num_frames)
    return Scene(
        objects=(SceneObject(name="wall", mesh=box((20, 2, 20)), texture="dots", tile_m=(4, 4), poses=standing((0, 6, 0))),),
        textures={"dots": np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)},
        light=Light(to_sun=(0.2, -1, 1)),
        camera_to_world=cameras,
        intrinsics=pinhole(height, width, horizontal_fov_deg=60),
        height=height,
        width=width,
        fps=10,
    )


def _short(differences: Mapping[str, float]) -> dict[str, float]:
    """Names that fit a table."""
    return {name.removeprefix("largest_").replace("_difference", "").replace("_", " "): value for name, value in differences.items()}
