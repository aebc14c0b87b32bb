"""CoTracker3 under the public checkpoints' names and numbers: tracks of points through a video."""

from networks.cotracker3.config import CoTracker3Config, TrackerComputing
from networks.cotracker3.models import CoTracker3Offline, CoTracker3Online, CoTracker3Output, compile_parts
from networks.cotracker3.network import CoTracker3
from networks.cotracker3.refinement import RefinedWindow

__all__ = [
    "CoTracker3",
    "CoTracker3Config",
    "CoTracker3Offline",
    "CoTracker3Online",
    "CoTracker3Output",
    "RefinedWindow",
    "TrackerComputing",
    "compile_parts",
]
