"""Text files of numbers: poses, intrinsics, time stamps."""

import io

import numpy as np

from pipeline.datasets.files import read_file
from pipeline.errors import DataError


def read_table(uri: str, *, columns: int, header_lines: int = 0) -> np.ndarray:
    """Rows of numbers set apart by blanks, float64 "R columns"; `nan` and `-inf` are numbers, lines with # are comments.

    Raises: DataError if the file is missing, holds anything else, or rows of another length.
    """
    try:
        text = read_file(uri).decode()
        table = np.array([line.split() for line in _lines(text)[header_lines:]], np.float64)
    except (UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{uri}: not {columns} numbers in every row ({error}); download it again") from error
    if table.ndim != 2 or table.shape[1] != columns:
        raise DataError(f"{uri}: a table of shape {list(table.shape)}, expected {columns} numbers in every row; is it this dataset's file?")
    return table


def _lines(text: str) -> list[str]:
    stripped = (line.partition("#")[0].strip() for line in io.StringIO(text))
    return [line for line in stripped if line]
