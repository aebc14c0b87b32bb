"""Track4World over videos: one frame to all others by windows, and pairs of frames; label sets by `labelers.track4world.labeler`."""

from labelers.track4world.config import EngineConfig
from labelers.track4world.engine import TargetMaps, Track4WorldEngine

__all__ = ["EngineConfig", "TargetMaps", "Track4WorldEngine"]
