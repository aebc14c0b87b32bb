import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.metrics.tapvid3d_protocol import evaluation_focal, mean_over_sources, source_of_file


def test_the_focal_length_is_that_of_an_image_whose_shorter_side_is_256() -> None:
    assert evaluation_focal(400, 900, height=512, width=1024) == pytest.approx(300)  # sqrt(400 * 900) / 2
    np.testing.assert_allclose(evaluation_focal(np.array([400, 100]), np.array([900, 100]), height=1024, width=512), [300, 50])


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("tapvid3d_001.npz", "drivetrack"),
        ("LiteLab_1.npz", "adt"),
        ("Apartment_release_x.npz", "adt"),
        ("basketball_3.npz", "pstudio"),
        ("set/pstudio/tapvid3d_9.npz", "pstudio"),
        ("adt/anything.npz", "adt"),
    ],
)
def test_a_file_tells_its_source(name: str, source: str) -> None:
    assert source_of_file(name) == source


def test_sources_count_alike_however_many_videos_they_have() -> None:
    means = mean_over_sources({"adt/a": 0.2, "adt/b": 0.4, "adt/c": np.nan, "pstudio/a": 0.9, "drivetrack/a": 0.0})
    assert means.value == pytest.approx((0.3 + 0.9 + 0) / 3)
    assert (means.sources["adt"].num_defined, means.sources["adt"].num_dropped) == (2, 1)
    assert means.undefined is None


def test_a_source_without_a_value_leaves_the_mean_undefined() -> None:
    means = mean_over_sources({"adt/a": np.nan, "pstudio/a": 0.9})
    assert np.isnan(means.value)
    assert means.undefined == "no video of adt has a value"
    assert means.sources["pstudio"].value == pytest.approx(0.9)


def test_no_videos_are_refused() -> None:
    with pytest.raises(DataError, match="no videos"):
        mean_over_sources({})
