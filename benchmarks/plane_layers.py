"""The plane-layer scenes on which the labelers are measured, under the name that the benchmarks know."""

from pipeline.synthetic.planes import PlaneLayerClip, make_clip

__all__ = ["PlaneLayerClip", "make_clip"]
