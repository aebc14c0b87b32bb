"""Videos made for the tests: a moving texture with the frame number in it, in every form that sources come in."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

MakeVideo = Callable[..., Path]

X264 = {"libx264": {"bf": "0", "preset": "veryfast", "threads": "1"}}
FORMS = {
    "h264": ("libx264", {"bf": "0", "g": "12"}),
    "h264-b-frames": ("libx264", {"bf": "3", "g": "24", "x264-params": "open-gop=0:b-pyramid=normal:scenecut=0"}),
    "h264-open-gop": ("libx264", {"bf": "3", "g": "24", "x264-params": "open-gop=1:b-pyramid=normal:scenecut=0"}),
    "hevc-open-gop": ("libx265", {"x265-params": "keyint=24:min-keyint=24:open-gop=1:bframes=4:b-pyramid=1:scenecut=0:log-level=error"}),
    # Sekai's own form: a key frame every 240 frames
    "hevc-open-gop-240": ("libx265", {"x265-params": "keyint=240:min-keyint=240:open-gop=1:bframes=4:scenecut=0:log-level=error"}),
}


def texture(num_frames: int, width: int, height: int, seed: int = 0) -> np.ndarray:
    """uint8 "T H W 3": smooth noise that moves 2 pixels right and 1 down per frame, with the frame's number."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random((height + num_frames + 8, width + 2 * num_frames + 8, 3)), (0, 0), 2.0)
    noise = np.uint8(255 * (noise - noise.min()) / (noise.max() - noise.min()))
    frames = []
    for index in range(num_frames):
        top, left = num_frames - index, 2 * (num_frames - index)
        picture = np.ascontiguousarray(noise[top : top + height, left : left + width])
        frames.append(cv2.putText(picture, str(index), (8, height // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2))
    return np.stack(frames)


def write_video(
    path: Path,
    frames: np.ndarray,
    *,
    form: str = "h264",
    ticks: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 30),
    rotation: int = 0,
) -> Path:
    """Encode frames; `ticks` are their presentation timestamps in `time_base` (one per tick by default)."""
    codec, options = FORMS[form]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = time_base
        stream.codec_context.thread_count = 1
        if rotation:
            stream.set_display_rotation(rotation)
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = (index if ticks is None else ticks[index]), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """make_video(name="a.mp4", num_frames=60, size=(96, 160), form="h264", ticks=None, time_base=1/30, rotation=0, seed=0) -> path."""

    def make(name: str = "a.mp4", num_frames: int = 60, size: tuple[int, int] = (96, 160), seed: int = 0, **options: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hashable = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
        path.write_bytes(_encoded(path.suffix, num_frames, size, seed, **hashable))
        return path

    return make


@lru_cache(maxsize=64)
def _encoded(suffix: str, num_frames: int, size: tuple[int, int], seed: int, **options: object) -> bytes:
    """Bytes of such a video: many tests ask for the same one."""
    height, width = size
    with tempfile.TemporaryDirectory() as folder:
        path = write_video(Path(folder) / f"video{suffix}", texture(num_frames, width, height, seed), **options)  # type: ignore[arg-type]
        return path.read_bytes()


@pytest.fixture(scope="session")
def real_videos() -> list[Path]:
    """Real videos, where TRACKMILL_TEST_VIDEOS names a folder of some."""
    folder = os.environ.get("TRACKMILL_TEST_VIDEOS")
    found = sorted(Path(folder).glob("*.mp4")) if folder else []
    if not found:
        pytest.skip("no real videos: set TRACKMILL_TEST_VIDEOS to a folder of them")
    return found


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Endpoint of an S3-compatible server in this process, with the usual environment variables set."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "2",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield settings["AWS_ENDPOINT_URL"]
    server.stop()


@pytest.fixture
def bucket(s3_server: str, request: pytest.FixtureRequest) -> str:
    """A fresh bucket, as an s3:// URL."""
    import fsspec

    name = "bucket-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}"


@pytest.fixture(autouse=True)
def _unexpected_errors_are_raised(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of ours must not hide behind a border: tests that plant one are marked `unexpected`."""

    def as_it_is(name: str, error: Exception) -> Exception:
        return error

    if request.node.get_closest_marker("unexpected") is None:
        monkeypatch.setattr("pipeline.border.unexpected", as_it_is)
