"""Flat textured layers in motion, filmed: a third domain, whose motion is homographies and whose truth needs no ray caster."""

from pipeline.synthetic.planes.clip import PlaneLayerClip, make_clip

__all__ = ["PlaneLayerClip", "make_clip"]
