"""Some frames of a reconstruction, spread over its length, with all that is known of them: for pictures, which must fit into memory."""

from dataclasses import dataclass

import numpy as np

from trainer.inference.reconstruction import Reconstruction


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DigestTracks:
    """N tracks in K frames, of the windows that hold these frames."""

    queries: np.ndarray  # float32 "N 3": (t, x, y); t counts the frames of the digest, and is -1 if it lacks that frame
    world: np.ndarray  # float32 "K N 3"; 0 where the track does not live
    camera: np.ndarray  # float32 "K N 3", likewise
    visibility_score: np.ndarray  # float32 "K N"; 0 where it does not live
    alive: np.ndarray  # bool "K N": the track's window holds the frame


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Digest:
    """K frames of a reconstruction."""

    numbers: np.ndarray  # int64 "K", of the frames in the reconstruction; increasing
    frames: np.ndarray  # uint8 "K H W 3"
    depth: np.ndarray  # float32 "K H W", 0 for points that are not in the cloud
    camera_to_world: np.ndarray  # float32 "K 4 4"
    intrinsics: np.ndarray | None  # float32 "K 3 3"; None if some frame's points fit no camera
    tracks: DigestTracks | None  # None if the model tracks nothing, or was not asked to


def take_digest(whole: Reconstruction, *, at_most: int) -> Digest:
    """Frames of a reconstruction: all, or `at_most` that are spread evenly, first and last included."""
    count = min(whole.num_frames, at_most)
    numbers = np.unique(np.rint(np.linspace(0, whole.num_frames - 1, count)).astype(np.int64))
    intrinsics = whole.intrinsics
    return Digest(
        numbers=numbers,
        frames=np.concatenate([whole.frames(number) for number in numbers]),
        depth=np.concatenate([whole.depth(number) for number in numbers]),
        camera_to_world=whole.camera_to_world[numbers],
        intrinsics=None if intrinsics is None else intrinsics[numbers],
        tracks=_gather(whole, numbers) if whole.num_tracks else None,
    )


def _gather(whole: Reconstruction, numbers: np.ndarray) -> DigestTracks:
    by_frame = [whole.tracks(int(number)) for number in numbers]
    columns = np.unique(np.concatenate([tracks.columns for tracks in by_frame]))
    queries = whole.queries[columns]
    place = np.minimum(np.searchsorted(numbers, queries[:, 0]), len(numbers) - 1)
    queries[:, 0] = np.where(numbers[place] == queries[:, 0], place, -1)
    alive = np.zeros((len(numbers), len(columns)), bool)
    world, camera = np.zeros((*alive.shape, 3), np.float32), np.zeros((*alive.shape, 3), np.float32)
    score = np.zeros(alive.shape, np.float32)
    for row, tracks in enumerate(by_frame):
        held = np.searchsorted(columns, tracks.columns)
        world[row, held], camera[row, held] = tracks.world, tracks.camera
        score[row, held], alive[row, held] = tracks.visibility_score, True
    return DigestTracks(queries=queries, world=world, camera=camera, visibility_score=score, alive=alive)
