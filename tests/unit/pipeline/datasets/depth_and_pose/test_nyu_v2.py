"""The reader of NYU Depth v2's test pictures."""

import numpy as np
import pytest

from pipeline.datasets.nyu_v2 import NyuV2Source
from pipeline.datasets.source import clip_frames_of, min_frames_of
from pipeline.errors import ConfigError, DataError


def test_each_picture_is_a_clip_of_its_own(tmp_path, hall, write_image, convert) -> None:
    scene = hall(30, 40, num_frames=2)
    files = []
    (tmp_path / "nyu_depths").mkdir()
    for index, name in enumerate(("00001", "00002")):
        files.append(write_image(tmp_path / f"nyu_images/{name}.png", scene.frames[index]).read_bytes())
        np.save(
            tmp_path / f"nyu_depths/{name}.npy", np.where(np.isfinite(scene.depth[index]), scene.depth[index], np.nan).astype(np.float32)
        )
    source = NyuV2Source(str(tmp_path))
    first, second = source.sequences()
    assert (second.name, second.num_frames, second.split) == ("00002", 1, "test")
    assert (clip_frames_of(source, None), min_frames_of(source, None)) == (1, 1)
    clip = source.read(second, 0, 1)
    assert clip.images == (files[1],)
    np.testing.assert_allclose(clip.depth[0], np.where(np.isfinite(scene.depth[1]), scene.depth[1], 0), rtol=1e-6)
    assert clip.intrinsics is None
    assert clip.is_metric
    stored = convert(source, clip_frames=1, min_frames=1)
    assert [sample.frames.shape for sample in stored.samples] == [(1, 30, 40, 3)] * 2
    np.save(tmp_path / "nyu_depths/00001.npy", np.ones((40, 30), np.float32))
    with pytest.raises(DataError, match=r"00001\.npy: depth of 30x40 pixels, expected 40x30"):
        source.read(first, 0, 1)
    (tmp_path / "nyu_depths/00002.npy").unlink()
    with pytest.raises(DataError, match=r"nyu_depths/00002\.npy: there is no such file"):
        source.read(second, 0, 1)
    with pytest.raises(ConfigError, match="no nyu_v2 sequence found, expected files such as nyu_images/00001.png"):
        NyuV2Source(str(tmp_path / "nyu_depths")).sequences()
