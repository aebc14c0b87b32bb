"""Where the picture cuts to another scene (PySceneDetect's content-aware detector)."""

import numpy as np

from pipeline.errors import ConfigError
from pipeline.video.open import open_video
from pipeline.video.packets import Packets, decode_packets
from pipeline.video.probe import VideoProbe


def require_scene_detection() -> None:
    """Raise ConfigError, naming the extra, if PySceneDetect is not installed."""
    try:
        import scenedetect  # noqa: F401
    except ImportError as error:
        raise ConfigError('--scene-cuts needs PySceneDetect: pip install "trackmill[scenes]"') from error


def scene_cuts(source: str | bytes, name: str, probe: VideoProbe, *, threshold: float = 27.0) -> tuple[int, ...]:
    """Indices of the frames that begin a new scene (never frame 0), by decoding the source once at a width of 256 or less.

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
    with open_video(source, name, index=probe.stream) as (container, stream):
        frames = (frame for _, some in decode_packets(Packets(container, stream, probe.stamps), stream) for frame in some)
        for frame in frames:
            index = -1 if frame.pts is None else int(np.searchsorted(probe.pts, frame.pts))
            if not 0 <= index < probe.num_frames or probe.pts[index] != frame.pts:
                continue
            small = frame.to_ndarray(format="bgr24", width=width, height=height, interpolation="FAST_BILINEAR")
            cuts += [cut.frame_num for cut in detector.process_frame(FrameTimecode(index, rate), small)]
    return tuple(sorted({cut for cut in cuts if 0 < cut < probe.num_frames}))
