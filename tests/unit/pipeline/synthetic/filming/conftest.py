"""A wall across the view, what a test puts before it, and plain daylight."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.synthetic.filming.frames import FrameMaker
from pipeline.synthetic.filming.tracing import Tracer
from pipeline.synthetic.lighting import Illumination
from pipeline.synthetic.scene import Scene


@pytest.fixture
def make_frames() -> Callable[..., FrameMaker]:
    def make(scene: Scene, **changes: object) -> FrameMaker:
        gains = {name: np.ones(scene.num_frames, np.float32) for name in ("key_gain", "ambient_gain")}
        return FrameMaker(scene, Illumination(**{"light": scene.light, **gains, **changes}), Tracer(scene))  # type: ignore[arg-type]

    return make
