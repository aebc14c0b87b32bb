"""Reading videos with nothing of ours: PyAV and OpenCV as any player would use them."""

import io
from pathlib import Path

import av
import cv2
import numpy as np
import pytest


@pytest.fixture
def play_with_pyav():
    """play(path or bytes) -> stored pictures uint8 "T H W 3", as PyAV shows them (no rotation)."""

    def play(source: Path | bytes) -> np.ndarray:
        with av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as container:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])

    return play


@pytest.fixture
def play_with_opencv(tmp_path: Path):
    """play(path or bytes) -> pictures BGR uint8 "T H W 3", as OpenCV shows them (rotated upright)."""

    def play(source: Path | bytes) -> np.ndarray:
        path = source
        if isinstance(source, bytes):
            path = tmp_path / "played.mp4"
            path.write_bytes(source)
        capture, frames = cv2.VideoCapture(str(path)), []
        while True:
            there, frame = capture.read()
            if not there:
                return np.stack(frames)
            frames.append(frame)

    return play
