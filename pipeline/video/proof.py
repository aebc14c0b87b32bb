"""Proving a copied clip before it is written: by its packets alone, or by decoding its hidden frames too."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import DataError
from pipeline.video.mp4_boxes import read_sample_table
from pipeline.video.open import open_video
from pipeline.video.packets import Packets, decode_packets


def prove_packets(data: bytes, name: str, timestamps: Sequence[float]) -> None:
    """Check a clip that was cut at clean key frames: a key frame first, one packet per frame and no other, at the planned times.

    Its groups are closed (the plan chose them so), hence the packets hold all that its frames need. Nothing is decoded: damage
    within a packet that the container does not know of stays unseen.
    Args:
        timestamps: of the planned frames, seconds, increasing.
    Raises: DataError.
    """
    table = read_sample_table(data)
    if not table.begins_with_key or len(table.sizes) != len(timestamps) or int(table.sizes.sum()) != table.media_bytes:
        raise DataError(f"{name}: {len(table.sizes)} packets for {len(timestamps)} frames, expected as many, a key frame first")
    _check_times(table.times_s, name, timestamps)
    if abs(table.times_s.min()) > 1e-3:
        raise DataError(f"{name}: its first frame is shown at {table.times_s.min():.4f} s, expected 0")


def prove_with_lead_in(data: bytes, name: str, timestamps: Sequence[float], check: Callable[[int, VideoFrame], None]) -> None:
    """Check a clip that stores more frames than it shows: the edit list shows the planned ones, and every stored one decodes.

    Players decode the frames before the first shown one too: where one of those is damaged, what follows is wrong.
    Args:
        check: raises DataError for a frame that must not be there; called with its place among the stored ones.
    Raises: DataError.
    """
    with open_video(data, name) as (container, stream):
        shown = [float(packet.pts * packet.time_base) for packet in _sound(container, stream, name) if not packet.is_discard]
        _check_times(np.array(shown), name, timestamps)
    with open_video(data, name, options={"ignore_editlist": "1"}) as (container, stream):
        stored, count = stream.frames, 0
        for bad, frames in decode_packets(Packets(container, stream), stream):
            if bad is not None or any(frame.is_corrupt for frame in frames):
                raise DataError(f"{name}: a stored frame is damaged (number {count + 1} of {stored})")
            for place, frame in enumerate(frames, start=count):
                check(place, frame)
            count += len(frames)
        if count != stored:
            raise DataError(f"{name}: {count} of {stored} stored frames decode")


def _sound(container: InputContainer, stream: VideoStream, name: str) -> Iterator[Packet]:
    packets = Packets(container, stream)
    for packet in packets:
        if packet.is_corrupt or packet.pts is None:
            raise DataError(f"{name}: a packet is damaged or has no time")
        yield packet
    if packets.fault:
        raise DataError(f"{name}: its packets end early ({packets.fault})")


def _check_times(times_s: np.ndarray, name: str, timestamps: Sequence[float]) -> None:
    """The shown packets' times are the planned ones, from the first on, to half the least step."""
    shown = np.sort(times_s)[: len(timestamps)]
    wanted = np.asarray(timestamps) - timestamps[0]
    if len(shown) != len(wanted):
        raise DataError(f"{name}: {len(shown)} frames are shown, expected {len(wanted)}")
    apart = np.abs(shown - shown[0] - wanted)
    tolerance = 0.5 * float(np.diff(wanted).min()) if len(wanted) > 1 else np.inf
    if apart.max() > tolerance:
        worst = int(apart.argmax())
        raise DataError(f"{name}: frame {worst} lies at {shown[worst] - shown[0]:.4f} s, expected {wanted[worst]:.4f} s")
