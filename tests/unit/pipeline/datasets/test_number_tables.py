"""Text files of numbers."""

import numpy as np
import pytest

from pipeline.datasets.files import read_table
from pipeline.errors import DataError


def test_comments_and_headers_are_skipped_and_infinities_read(tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("frame value\n# a comment\n1  2\n\n-inf nan # lost\n")
    np.testing.assert_array_equal(read_table(str(path), columns=2, header_lines=1), [[1, 2], [-np.inf, np.nan]])


@pytest.mark.parametrize("text", ["", "1 2\n3\n", "1 2 3\n", "1 x\n", "\xff"])
def test_anything_else_is_an_error(tmp_path, text) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.txt: .*2 numbers in every row"):
        read_table(str(path), columns=2)
