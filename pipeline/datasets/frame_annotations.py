"""Frame annotations of PyTorch3D's datasets: gzipped JSON lists with a record of each frame, its files and its camera."""

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.datasets.files import read_file
from pipeline.datasets.pictures import read_depths, read_png16
from pipeline.datasets.poses import Viewpoint, float16_bits_to_depth
from pipeline.errors import DataError
from pipeline.storage import join

_SPACE = re.compile(r"[\s,]*")


def annotation_records(uri: str) -> Iterator[dict[str, Any]]:
    """The records of an annotation file one after the other: all of them at once would be gigabytes of Python objects.

    Raises: DataError if it is no such file.
    """
    try:
        text = gzip.decompress(read_file(uri)).decode()
        decoder, place = json.JSONDecoder(), text.index("[") + 1
        while text[(place := _SPACE.match(text, place).end())] != "]":  # type: ignore[union-attr]  # the pattern matches anywhere
            record, place = decoder.raw_decode(text, place)
            yield record
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise DataError(f"{uri}: not a gzipped JSON list of records ({error}); fetch it again") from error


def viewpoint_of(record: Mapping[str, Any]) -> Viewpoint:
    """The camera of a frame."""
    document = record["viewpoint"]
    return Viewpoint(
        rotation=np.array(document["R"], np.float64),
        translation=np.array(document["T"], np.float64),
        focal_length=np.array(document["focal_length"], np.float64),
        principal_point=np.array(document["principal_point"], np.float64),
        intrinsics_format=str(document["intrinsics_format"]),
    )


def annotated_depth(records: Sequence[Mapping[str, Any]], folder: str, size: tuple[int, int]) -> np.ndarray:
    """Depth that the records name, float32 "T H W", 0 where unknown.

    Args:
        folder: that the paths in the records start from.
        size: (H, W) that the maps must have.
    Raises: DataError.
    """
    stored = read_depths([join(folder, record["depth"]["path"]) for record in records], read_png16, size=size)
    scales = [float(record["depth"]["scale_adjustment"]) for record in records]
    return np.stack([float16_bits_to_depth(depth, scale) for depth, scale in zip(stored, scales, strict=True)])
