"""Flow: one PNG of 16 bits and three channels per frame in the sidecar tar, as KITTI stores it, and one of 8 bits for its confidence.

In `KEY.0007.flow.png` red is u x 64 + 2^15, green is v x 64 + 2^15, blue is 1 where the flow is known, else 0 as are the others. So
vectors reach 512 pixels either way, and are rounded by at most 1/128 pixel. Which two frames a map is of stands in `from_frame` and
`to_frame`. A confidence is code / 255.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.labels.kinds.kind import CLIP_COLUMNS, KIND, MEMBERS, MEMBERS_TYPE, LabelKind, metadata_number
from pipeline.labels.kinds.png import SCORE_SCALE, decode_png, decode_scores, encode_png, encode_scores
from pipeline.records import FlowLabels

STEPS_PER_PIXEL = 64
_ZERO = 2**15  # the code of no motion
_FLOW, _CONFIDENCE = "flow.png", "confidence.png"
_FRAMES = pa.list_(pa.field("element", pa.int32(), nullable=False))


def encode_flow(flow: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Codes uint16 "... 3" of vectors "... 2" and their validity "...". Raises DataError for a valid vector outside what they reach."""
    codes = np.rint(np.where(valid[..., None], flow, 0).astype(np.float64) * STEPS_PER_PIXEL) + _ZERO
    if codes.size and not (codes.min() >= 0 and codes.max() < 2**16):
        reach = 2**15 / STEPS_PER_PIXEL
        raise DataError(
            f"flow reaches {np.abs(flow[valid]).max():.5g} px, expected within {reach:g} px; let the labeler mark what lies outside as"
            " invalid, or label smaller frames"
        )
    return np.concatenate([np.where(valid[..., None], codes, 0), valid[..., None]], axis=-1).astype(np.uint16)


def decode_flow(codes: np.ndarray, steps_per_pixel: int = STEPS_PER_PIXEL) -> tuple[np.ndarray, np.ndarray]:
    """Vectors float32 "... 2" and their validity, bool "...". Raises DataError if the third channel holds other values than 0 and 1."""
    if codes[..., 2].max(initial=0) > 1:
        raise DataError(f"validity is {int(codes[..., 2].max())} somewhere, expected 0 or 1: another encoding than KITTI's")
    valid = codes[..., 2] == 1
    flow = (codes[..., :2].astype(np.float32) - np.float32(_ZERO)) / np.float32(steps_per_pixel)
    return np.where(valid[..., None], flow, np.float32(0)), valid


def _check(labels: FlowLabels, num_frames: int, height: int, width: int) -> None:
    if labels.flow.shape[:3] != (num_frames, height, width):
        raise DataError(f"flow is {list(labels.flow.shape[:3])}, the clip is {[num_frames, height, width]} (frames, height, width)")


def _encode(labels: FlowLabels) -> dict[str, Any]:
    for name in ("from_frame", "to_frame"):
        _check_frames(name, getattr(labels, name), len(labels.flow))
    return {
        "from_frame": labels.from_frame,
        "to_frame": labels.to_frame,
        MEMBERS: [{"name": name, "data": data} for name, data in _files(labels)],
    }


def _files(labels: FlowLabels) -> Iterator[tuple[str, bytes]]:
    for index, (flow, valid) in enumerate(zip(labels.flow, labels.valid, strict=True)):
        yield f"{index:04d}.{_FLOW}", encode_png(encode_flow(flow, valid))
        if labels.confidence is not None:
            yield f"{index:04d}.{_CONFIDENCE}", encode_scores(labels.confidence[index])


def _decode(table: pa.Table, row: int, files: Mapping[str, bytes]) -> FlowLabels:
    num_frames = table["num_frames"][row].as_py()
    size = (table["height"][row].as_py(), table["width"][row].as_py())
    steps = metadata_number(table, "steps_per_pixel")
    maps = {name: decode_png(name, data, size, "uint16", channels=3) for name, data in files.items() if name.endswith(_FLOW)}
    chosen = np.array([int(name.partition(".")[0]) for name in maps], np.int64)
    decoded = [decode_flow(codes, steps) for codes in maps.values()]
    scores = {name: data for name, data in files.items() if name.endswith(_CONFIDENCE)}
    return FlowLabels(
        flow=np.stack([flow for flow, _ in decoded]) if decoded else np.zeros((0, *size, 2), np.float32),
        valid=np.stack([valid for _, valid in decoded]) if decoded else np.zeros((0, *size), bool),
        from_frame=_frames_of(table, "from_frame", row, num_frames)[chosen],
        to_frame=_frames_of(table, "to_frame", row, num_frames)[chosen],
        confidence=decode_scores(scores, size, num_frames=len(maps)),
    )


def _frames_of(table: pa.Table, name: str, row: int, num_frames: int) -> npt.NDArray[np.int32]:
    cell = table[name][row]
    if not cell.is_valid:
        raise DataError(f"{name} is null in a row with status ok")
    frames = np.array(cell.as_py(), np.int32)
    _check_frames(name, frames, num_frames)
    return frames


def _check_frames(name: str, frames: np.ndarray, num_frames: int) -> None:
    if len(frames) != num_frames or not ((frames >= -1) & (frames < num_frames)).all():
        raise DataError(f"{name} is {frames.tolist()}, expected {num_frames} frames of the clip, or -1 for none")


def _arrays(labels: FlowLabels) -> dict[str, np.ndarray]:
    arrays = {
        "flow": labels.flow,
        "flow_valid": labels.valid,
        "flow_from_frame": labels.from_frame,
        "flow_to_frame": labels.to_frame,
    }
    return arrays if labels.confidence is None else {**arrays, "flow_confidence": labels.confidence}


FLOW = LabelKind(
    name=FlowLabels.kind,
    record=FlowLabels,
    schema=pa.schema(
        {**CLIP_COLUMNS, "from_frame": _FRAMES, "to_frame": _FRAMES, MEMBERS: MEMBERS_TYPE},
        metadata={  # what the file says about itself, so that it can be read without this package
            KIND: FlowLabels.kind,
            "steps_per_pixel": str(STEPS_PER_PIXEL),
            "flow": f"red and green are (u, v): (code - {_ZERO}) / steps_per_pixel pixels right and down; blue is 1 where known, else 0",
            "confidence": f"code / {SCORE_SCALE}",
            "pairs": "map n says where the pixels of frame from_frame[n] are in frame to_frame[n]; -1: frame n has no pair",
            "files": "KEY.NNNN.flow.png (16 bits, RGB) and, if there is one, KEY.NNNN.confidence.png (8 bits), in the tar beside",
        },
    ),
    writer_options={"row_group_size": 1, "write_statistics": ["key", "status"], "write_page_checksum": True},
    dense=True,
    fields=("flow", "flow_valid", "flow_confidence", "flow_from_frame", "flow_to_frame", "flow_source"),
    check=_check,
    encode=_encode,
    decode=_decode,
    arrays=_arrays,
    facts=lambda labels: {"flow_source": "pseudo"},
)
