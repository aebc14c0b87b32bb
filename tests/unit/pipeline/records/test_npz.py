"""Damaged and hostile .npz files: declared sizes are checked before anything is allocated."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.records.fields import stored_shapes
from pipeline.records.npz import read_npz

SHAPES = stored_shapes(frames=4, height=6, width=8)


def npy(shape: str, data: bytes, dtype: str = "<f4") -> bytes:
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def npz(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def read(data: bytes) -> dict[str, np.ndarray]:
    return read_npz(data, SHAPES, shapes=SHAPES, what="arrays.npz", remedy="make it again")


def test_arrays_come_as_they_were_stored():
    depth = np.arange(192, dtype=">f4").reshape(4, 6, 8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, depth=depth, tracks2d=np.asfortranarray(np.arange(24.0).reshape(4, 3, 2)), other=np.array(["text"]))
    found = read(buffer.getvalue())
    assert sorted(found) == ["depth", "tracks2d"]
    np.testing.assert_array_equal(found["depth"], depth)
    np.testing.assert_array_equal(found["tracks2d"], np.arange(24.0).reshape(4, 3, 2))


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (npy("(4, 900000, 2)", b""), "declares 28800000 bytes"),
        (npy("(4, 99999999999999999999, 2)", b""), r"expected \[4, any, 2\]"),
        (npy("(4, -1, 2)", b""), "declares the shape|does not read"),
        (npy("(4, 1, 2)", b"\0" * 40), "declares 32 bytes .* it holds more"),
        (npy("(4, 1, 2)", b"\0" * 32, "|O"), "is of object"),
        (npy("(4, 1, 2)", b"\0" * 32, "<U90000"), "is of"),
        (npy("4, 1, (((((", b""), "does not read"),
        (b"\x93NUMPY\x09\x09", "does not read"),
        (b"", "does not read"),
    ],
)
def test_an_array_that_declares_what_it_is_not_is_refused_without_allocating_it(member, says):
    data = npz({"tracks2d": member})
    tracemalloc.start()
    with pytest.raises(DataError, match=f"arrays.npz.*({says}).*make it again|({says}).*arrays.npz.*make it again"):
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


def test_every_flipped_byte_and_every_cut_reads_or_is_a_data_error():
    data = npz({"tracks2d": npy("(4, 2, 2)", bytes(range(64))), "pose_valid": npy("(4,)", b"\1" * 4, "|b1")})
    failed = 0
    for place in range(len(data)):
        for changed in (data[:place], data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]):
            try:
                found = read(changed)
            except DataError as error:
                failed += "make it again" in str(error)
            else:
                assert set(found) <= {"tracks2d", "pose_valid"}
    assert failed > len(data)
