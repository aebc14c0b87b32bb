"""Streams of different clocks."""

import numpy as np
import pytest

from pipeline.datasets.rgbd import associate, stamped_files
from pipeline.errors import DataError


def test_each_time_finds_the_nearest_other_that_no_closer_one_took() -> None:
    times, others = np.array([0.0, 0.03, 0.06, 1.0]), np.array([0.016, 0.061, 0.5])
    # 0.016 lies 14 ms from 0.03 and 16 ms from 0: the closer pair is made, and 0 has nobody left
    assert associate(times, others, tolerance_s=0.02).tolist() == [-1, 0, 1, -1]


def test_pairs_differ_by_less_than_the_tolerance() -> None:
    assert associate(np.array([0.0]), np.array([0.5]), tolerance_s=0.5).tolist() == [-1]
    assert associate(np.array([0.0]), np.array([0.5]), tolerance_s=0.51).tolist() == [0]
    assert associate(np.array([0.0]), np.array([]), tolerance_s=1).tolist() == [-1]


def test_a_list_goes_before_the_files_names(tmp_path) -> None:
    (tmp_path / "rgb").mkdir()
    for name in ("2.25.png", "1.5.png", "cover.png"):
        (tmp_path / "rgb" / name).touch()
    assert [file.time_s for file in stamped_files(str(tmp_path), "rgb")] == [1.5, 2.25]
    (tmp_path / "rgb.txt").write_text("# timestamp filename\n1.25 rgb/1.5.png\n")
    (listed,) = stamped_files(str(tmp_path), "rgb")
    assert (listed.time_s, listed.uri) == (1.25, f"{tmp_path}/rgb/1.5.png")
    (tmp_path / "rgb.txt").write_text("1.25\n")
    with pytest.raises(DataError, match=r"rgb\.txt: a line is not `timestamp path`"):
        stamped_files(str(tmp_path), "rgb")
