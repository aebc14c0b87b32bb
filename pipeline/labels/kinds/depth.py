"""Depth: one 16-bit PNG per frame in the sidecar tar, and one of 8 bits for its confidence where the labeler has one.

A pixel of `KEY.0007.depth.png` is a code of equal steps in the logarithm: depth = 2 ^ ((code - 32768) / 1024), and code 0 is invalid.
That reaches from 2^-32 to 2^32 of whatever the unit is, without a parameter per clip; an error is at most 0.034 %, below the 0.049 %
of half floats, and the step between neighbouring codes stays below what normals from depth would show. A confidence is code / 255.

Chosen by measuring (benchmarks/depth_encoding.py; docs/benchmarks.md has the table): of depth as networks predict it a pixel costs 0.65
bytes and 25 ns to read. Codes of our own making under zstd would cost 0.42 and no less time, and be readable by us alone; zstd'd half
floats 0.83; FFV1 video 0.44 and twice the time, and no frame could be had without a video decoder; HEVC far less of everything, but
it moves edges by 20 % and more, and turns invalid pixels into valid ones.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.labels.kinds.kind import CLIP_COLUMNS, KIND, MEMBERS, MEMBERS_TYPE, LabelKind, metadata_number
from pipeline.labels.kinds.png import SCORE_SCALE, decode_png, decode_scores, encode_png, encode_scores
from pipeline.records import DepthLabels

STEPS_PER_OCTAVE = 1024
_MIDDLE = 2**15  # the code of depth 1
_DEPTH, _CONFIDENCE = "depth.png", "confidence.png"


def encode_depth(depth: np.ndarray) -> np.ndarray:
    """Codes, uint16 of any shape. Raises DataError for a depth outside what they reach."""
    valid = depth > 0
    codes = np.rint(np.log2(np.where(valid, depth, 1).astype(np.float32)) * STEPS_PER_OCTAVE) + _MIDDLE
    if codes.size and not (codes.min() >= 1 and codes.max() < 2**16):
        raise DataError(
            f"depth reaches from {depth[valid].min():.3g} to {depth[valid].max():.3g}, expected within 2^-32 and 2^32; let the labeler mark"
            " what lies outside as invalid (0)"
        )
    return np.where(valid, codes, 0).astype(np.uint16)


def decode_depth(codes: np.ndarray, steps_per_octave: int = STEPS_PER_OCTAVE) -> np.ndarray:
    """Depth, float32 of the codes' shape; 0 where invalid."""
    return _depth_of_code(steps_per_octave)[codes]


@lru_cache(maxsize=4)
def _depth_of_code(steps_per_octave: int) -> np.ndarray:
    table = np.exp2((np.arange(2**16) - _MIDDLE) / steps_per_octave)
    table[0] = 0
    return table.astype(np.float32)


def _check(labels: DepthLabels, num_frames: int, height: int, width: int) -> None:
    if labels.depth.shape != (num_frames, height, width):
        raise DataError(f"depth is {list(labels.depth.shape)}, the clip is {[num_frames, height, width]} (frames, height, width)")


def _encode(labels: DepthLabels) -> dict[str, Any]:
    return {"scale": labels.scale, MEMBERS: [{"name": name, "data": data} for name, data in _files(labels)]}


def _files(labels: DepthLabels) -> Iterator[tuple[str, bytes]]:
    for index, depth in enumerate(labels.depth):
        yield f"{index:04d}.{_DEPTH}", encode_png(encode_depth(depth))
        if labels.confidence is not None:
            yield f"{index:04d}.{_CONFIDENCE}", encode_scores(labels.confidence[index])


def _decode(table: pa.Table, row: int, files: Mapping[str, bytes]) -> DepthLabels:
    size = (table["height"][row].as_py(), table["width"][row].as_py())
    steps = metadata_number(table, "steps_per_octave")
    depth = [decode_depth(decode_png(name, data, size, "uint16"), steps) for name, data in files.items() if name.endswith(_DEPTH)]
    scores = decode_scores({name: data for name, data in files.items() if name.endswith(_CONFIDENCE)}, size, num_frames=len(depth))
    return DepthLabels(
        depth=np.stack(depth) if depth else np.zeros((0, *size), np.float32),
        scale=table["scale"][row].as_py(),
        confidence=scores,
    )


def _arrays(labels: DepthLabels) -> dict[str, np.ndarray]:
    return {"depth": labels.depth, **({} if labels.confidence is None else {"depth_confidence": labels.confidence})}


def _facts(labels: DepthLabels) -> dict[str, Any]:
    return {"depth_source": "pseudo", "depth_scale": labels.scale}


DEPTH = LabelKind(
    name=DepthLabels.kind,
    record=DepthLabels,
    schema=pa.schema(
        {
            **CLIP_COLUMNS,
            "scale": pa.string(),
            MEMBERS: MEMBERS_TYPE,
        },
        metadata={  # what the file says about itself, so that it can be read without this package
            KIND: DepthLabels.kind,
            "steps_per_octave": str(STEPS_PER_OCTAVE),
            "depth": f"2 ^ ((code - {_MIDDLE}) / steps_per_octave) along z; code 0 is invalid",
            "confidence": f"code / {SCORE_SCALE}",
            "files": "KEY.NNNN.depth.png (16 bits) and, if there is one, KEY.NNNN.confidence.png (8 bits) of frame NNNN, in the tar beside",
        },
    ),
    writer_options={"row_group_size": 1, "write_statistics": ["key", "status"], "write_page_checksum": True},
    dense=True,
    fields=("depth", "depth_confidence", "depth_source", "depth_scale"),
    check=_check,
    encode=_encode,
    decode=_decode,
    arrays=_arrays,
    facts=_facts,
)
