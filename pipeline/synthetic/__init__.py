"""Synthetic scenes: a small ray caster that renders textured worlds in motion, and knows the exact truth about every pixel."""

from pipeline.synthetic.render import render
from pipeline.synthetic.scene import Light, Scene, SceneClip, SceneObject, SceneTruth, TrueTracks, pinhole
from pipeline.synthetic.truth import true_tracks
from pipeline.synthetic.video import read_truth, write_true_tracks, write_truth, write_video
from pipeline.synthetic.walk import walk_scene

__all__ = [
    "Light",
    "Scene",
    "SceneClip",
    "SceneObject",
    "SceneTruth",
    "TrueTracks",
    "pinhole",
    "read_truth",
    "render",
    "true_tracks",
    "walk_scene",
    "write_true_tracks",
    "write_truth",
    "write_video",
]
