"""Deterministic damage to files: bytes flipped, cut, zeroed, repeated; columns of tables dropped, retyped, emptied."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def damaged(data: bytes, seed: int) -> bytes:
    """The bytes with one of several kinds of damage, by the seed alone."""
    rng = np.random.default_rng(seed)
    place = int(rng.integers(len(data))) if data else 0
    length = int(rng.integers(1, 64))
    kind = seed % 6
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + bytes(length) + data[place + length :]
    if kind == 2:
        return data[:place] + rng.bytes(length) + data[place + length :]
    if kind == 3:
        return data[:place] + data[place : place + length] + data[place:]
    if kind == 4:
        return data[:place] + data[place + length :]
    changed = bytearray(data)
    for each in rng.integers(len(data), size=3):
        changed[int(each)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def damaged_tables(path: Path) -> Iterator[tuple[str, pa.Table]]:
    """The table with each column dropped, turned to text or to numbers, and emptied; with what was done."""
    table = pq.read_table(path)
    for place, name in enumerate(table.column_names):
        length = len(table)
        text = pa.array(["x"] * length, pa.string())
        numbers = pa.array([-7] * length, pa.int64())
        yield f"{name} dropped", table.remove_column(place)
        for kind, column in (("text", text), ("numbers", numbers), ("null", pa.nulls(length, table.schema.field(place).type))):
            yield f"{name} {kind}", table.set_column(place, name, column)
