"""CoTracker3: our own engine, with the public checkpoints' names and numbers."""

from labelers.cotracker3.checkpoints import load_checkpoint, load_weights
from labelers.cotracker3.config import EngineConfig
from labelers.cotracker3.engine import CoTracker3Engine
from labelers.cotracker3.model import CoTracker3Output, build_model, compile_parts
from labelers.cotracker3.tracks import CoTracker3Tracks

__all__ = [
    "CoTracker3Engine",
    "CoTracker3Output",
    "CoTracker3Tracks",
    "EngineConfig",
    "build_model",
    "compile_parts",
    "load_checkpoint",
    "load_weights",
]
