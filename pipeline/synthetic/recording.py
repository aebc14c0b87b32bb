"""Drawing how a clip is lit and recorded, within the ranges of its domain."""

import numpy as np

from pipeline.synthetic.domains import Domain, Recording, Span
from pipeline.synthetic.filming.cameras import Operator
from pipeline.synthetic.filming.illumination import Illumination
from pipeline.synthetic.filming.imaging import Imaging
from pipeline.synthetic.scene import Light
from pipeline.synthetic.smooth_noise import drift
from pipeline.synthetic.worlds.world import World


def drawn(rng: np.random.Generator, span: Span) -> float:
    """A number between the span's ends."""
    return float(rng.uniform(*span))


def draw_operator(recording: Recording, rng: np.random.Generator) -> Operator:
    """Who holds the camera."""
    return Operator(shake_deg=drawn(rng, recording.shake_deg), shake_m=drawn(rng, recording.shake_m), speed=drawn(rng, recording.speed))


def draw_illumination(domain: Domain, light: Light, *, world: World, times_s: np.ndarray, rng: np.random.Generator) -> Illumination:
    """Clouds that pass, a lamp that flickers; what comes from all around follows by a third."""
    change = drawn(rng, domain.key_drift) * drift(rng, times_s, period_s=float(rng.uniform(0.8, 3)))
    return Illumination(
        light=light,
        key_gain=np.clip(1 + change, 0.4, 1.7).astype(np.float32),
        ambient_gain=np.clip(1 + change / 3, 0.7, 1.3).astype(np.float32),
        lamp=world.lamp,
    )


def draw_imaging(recording: Recording, times_s: np.ndarray, *, rng: np.random.Generator) -> Imaging:
    """A camera and its settings."""
    stops = drawn(rng, recording.exposure_drift) * drift(rng, times_s, period_s=2.0)
    tint = drawn(rng, recording.tint) * rng.normal(size=3)
    is_compressed = recording.jpeg_quality is not None and rng.random() < recording.compressed_share
    return Imaging(
        gain=(drawn(rng, recording.exposure) * 2.0 ** (stops[:, None] + tint)).astype(np.float32),
        shutter=drawn(rng, recording.shutter),
        lens_blur_px=drawn(rng, recording.lens_blur_px),
        vignette=drawn(rng, recording.vignette),
        shot_noise=drawn(rng, recording.shot_noise),
        read_noise=drawn(rng, recording.read_noise),
        saturation=drawn(rng, recording.saturation),
        contrast=drawn(rng, recording.contrast),
        jpeg_quality=round(drawn(rng, recording.jpeg_quality)) if recording.jpeg_quality is not None and is_compressed else None,
        detail=drawn(rng, recording.detail),
    )
