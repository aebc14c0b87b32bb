"""CoTracker3's labelers, and the engine that tracks whole clips and streams with its network."""

from labelers.cotracker3.config import EngineConfig
from labelers.cotracker3.engine import CoTracker3Engine, CoTracker3Tracks

__all__ = ["CoTracker3Engine", "CoTracker3Tracks", "EngineConfig"]
