"""Files of a reconstruction's geometry, which every model's inference writes."""

import numpy as np

from jobs.inferring.config import ARRAYS, CLOUD, COLMAP, TRAJECTORY
from pipeline import storage
from trainer.inference import Reconstruction
from trainer.inference.colmap import write_colmap
from trainer.inference.files import write_arrays, write_cloud, write_trajectory


def write_geometry(folder: str, whole: Reconstruction, times_s: np.ndarray, *, colmap: bool) -> list[str]:
    """Publish points, cloud and cameras, and COLMAP's layout if asked for. Returns their names.

    Args:
        times_s: "T", of the frames.
    """
    write_arrays(storage.join(folder, ARRAYS), whole)
    write_cloud(storage.join(folder, CLOUD), whole)
    write_trajectory(storage.join(folder, TRAJECTORY), whole.camera_to_world, times_s, whole.camera_found)
    written = [ARRAYS, CLOUD, TRAJECTORY]
    if colmap:
        write_colmap(storage.join(folder, COLMAP), whole)
        written.append(COLMAP)
    return written
