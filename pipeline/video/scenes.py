"""Cuts of a source to another scene (PySceneDetect's content-aware detector)."""

from collections.abc import Iterator

import numpy as np
from av.video.frame import VideoFrame

from pipeline.border import begin_part
from pipeline.errors import ConfigError, install_command
from pipeline.video.open import open_video
from pipeline.video.packets import Packets, decode_packets
from pipeline.video.picture_folder import CODEC as PICTURES
from pipeline.video.picture_folder import picture_frames
from pipeline.video.probe import VideoProbe

_FRAMES_PER_WORD = 1000


def require_scene_detection() -> None:
    """Raise ConfigError, naming the extra, if PySceneDetect is not installed."""
    try:
        import scenedetect  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"--scene-cuts needs PySceneDetect: {install_command('scenes')}") from error


def scene_cuts(source: str | bytes, name: str, probe: VideoProbe, *, threshold: float = 27.0) -> tuple[int, ...]:
    """Indices of the frames that begin a new scene (never frame 0), by decoding the source once at a width of 256 or less.

    A change of the picture's size begins a scene too.

    Args:
        threshold: mean HSV change between two frames, 0..255, from which PySceneDetect's ContentDetector calls a cut.
    Raises: DataError if the source does not decode; ConfigError without the extra.
    """
    require_scene_detection()
    from scenedetect import FrameTimecode
    from scenedetect.detectors import ContentDetector

    rate = round(1 / probe.frame_s, 3)
    detector = ContentDetector(threshold=threshold, min_scene_len=1)
    scale = min(1.0, 256 / probe.width)
    width, height = max(2, round(probe.width * scale)), max(2, round(probe.height * scale))
    if probe.quarter_turns % 2:
        width, height = height, width
    cuts: list[int] = []
    size: tuple[int, int] | None = None
    for index, frame in _shown(source, name, probe):
        if index % _FRAMES_PER_WORD == 0:
            begin_part(name)  # a long source has the time of a part for each stretch
        if size not in (None, (frame.width, frame.height)):
            cuts.append(index)  # clips of two sizes cannot be
        size = frame.width, frame.height
        small = frame.to_ndarray(format="bgr24", width=width, height=height, interpolation="FAST_BILINEAR")
        cuts += [cut.frame_num for cut in detector.process_frame(FrameTimecode(index, rate), small)]
    return tuple(sorted({cut for cut in cuts if 0 < cut < probe.num_frames}))


def _shown(source: str | bytes, name: str, probe: VideoProbe) -> Iterator[tuple[int, VideoFrame]]:
    """The frames that clips are cut from, with their index."""
    if probe.codec == PICTURES:
        yield from picture_frames(str(source), name, probe, 0)
        return
    with open_video(source, name, index=probe.stream) as (container, stream):
        frames = (frame for _, some in decode_packets(Packets(container, stream, probe.stamps), stream) for frame in some)
        for frame in frames:
            index = -1 if frame.pts is None else int(np.searchsorted(probe.pts, frame.pts))
            if 0 <= index < probe.num_frames and probe.pts[index] == frame.pts:
                yield index, frame
