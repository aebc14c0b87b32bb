from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from pipeline.datasets.check_tables import write_check_summary
from pipeline.datasets.converting import convert_shard, estimate_clip
from pipeline.datasets.planning import ConversionPolicy, plan_sequences
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import DataError
from pipeline.records.truth import TruthClip
from pipeline.shards.errors_table import read_errors
from pipeline.shards.index import read_index, read_video
from pipeline.shards.plan import read_shard_plan, write_plan
from pipeline.stream import ClipStream, StreamConfig
from pipeline.tables import read_document
from pipeline.video.reader import StoredClip


@dataclass
class Pictures:
    """A source of textures without truth; its third sequence does not read."""

    keep_images: bool = False
    suffix: str = "png"
    name: str = "pictures"
    license: str | None = "CC0"

    def sequences(self):
        return [SequenceInfo(name=f"s{number}", num_frames=8) for number in range(3)]

    def read(self, sequence, first_frame, num_frames):
        if sequence.name == "s2":
            raise DataError("s2/000007.png: not there; fetch it again")
        frames = frames_of(sequence.name)[first_frame : first_frame + num_frames]
        images = tuple(cv2.imencode(f".{self.suffix}", frame[..., ::-1])[1].tobytes() for frame in frames) if self.keep_images else None
        if images and self.suffix == "jpg":
            frames = np.stack([cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for image in images])
        return TruthClip(
            frames=frames, images=images, image_suffix=self.suffix, frame_times=np.arange(num_frames) / 25, meta={"orig_size": [30, 45]}
        )


def frames_of(name: str) -> np.ndarray:
    rng = np.random.default_rng(int(name[1:]))
    small = rng.integers(0, 255, (8, 6, 9, 3)).astype(np.uint8)
    return np.stack([cv2.resize(frame, (45, 30), interpolation=cv2.INTER_CUBIC) for frame in small])


POLICY = ConversionPolicy(clip_frames=8, split_shares={"train": 1.0})


def converted(root, source, policy=POLICY, crashed=None):
    planned = plan_sequences(source, source.sequences(), policy)
    write_plan(root, iter(planned.clips))
    return convert_shard(root, 0, source=source, policy=policy, crashed=crashed or {})


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_an_evaluation_set_keeps_its_image_files_byte_by_byte(suffix, tmp_path):
    source, root = Pictures(keep_images=True, suffix=suffix), str(tmp_path)
    converted(root, source)
    entry = read_index(root, 0)[1]
    given = source.read(source.sequences()[1], 0, 8)
    assert read_video(root, entry) == given.images
    assert entry.record.video == "images"
    assert (entry.record.width, entry.record.height) == (45, 30)
    sample = next(sample for sample in ClipStream(StreamConfig(root=root, num_frames=None, epochs=1)) if sample.source == "s1")
    np.testing.assert_array_equal(sample.frames, given.frames)
    frames = np.stack(list(StoredClip(read_video(root, entry), entry.record)))  # what a labeler is given
    np.testing.assert_array_equal(frames, given.frames)


def test_a_window_of_images_is_that_of_the_clip(tmp_path):
    source, root = Pictures(keep_images=True), str(tmp_path)
    converted(root, source)
    for sample in ClipStream(StreamConfig(root=root, num_frames=3, frame_stride=2, epochs=1, size=(15, 22), fit="stretch")):
        expected = frames_of(sample.source)[sample.frame_indices]
        assert sample.frames.shape == (3, 15, 22, 3)
        small = np.stack([cv2.resize(frame, (22, 15), interpolation=cv2.INTER_AREA) for frame in expected])
        assert np.abs(sample.frames.astype(int) - small).mean() < 4


def test_a_changed_image_is_noticed(tmp_path):
    source, root = Pictures(keep_images=True), str(tmp_path)
    converted(root, source)
    entry = read_index(root, 0)[0]
    tar = tmp_path / "shards" / "000000.tar"
    data = bytearray(tar.read_bytes())
    data[entry.images[3].offset + 100] ^= 1
    tar.write_bytes(data)
    with pytest.raises(DataError, match="damaged or replaced"):
        read_video(root, entry)


def test_a_clip_that_does_not_read_is_a_row_and_the_others_stay(tmp_path):
    outcome = converted(str(tmp_path), Pictures())
    assert (outcome.clips, outcome.failed) == (2, 1)
    (row,) = read_errors(str(tmp_path), "shards")
    assert row.source == "s2"
    assert "s2/000007.png: not there" in row.message


def test_a_clip_that_killed_its_worker_is_left_out_with_its_reason(tmp_path):
    source = Pictures()
    key = plan_sequences(source, source.sequences(), POLICY).clips[0].key
    outcome = converted(str(tmp_path), source, crashed={key: "it killed its worker"})
    assert (outcome.clips, outcome.failed) == (1, 2)
    assert "it killed its worker" in read_errors(str(tmp_path), "shards")[0].message


def test_the_same_source_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        converted(str(tmp_path / name), Pictures())
    for file in ("shards/000000.tar", "shards/000000.parquet", "checks/000000.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_frames_of_odd_size_are_stored_even_and_close_to_what_was_given(tmp_path):
    converted(str(tmp_path), Pictures())
    sample = next(iter(ClipStream(StreamConfig(root=str(tmp_path), num_frames=None, epochs=1))))
    assert sample.frames.shape == (8, 30, 44, 3)
    assert np.abs(sample.frames.astype(int) - frames_of(sample.source)[:, :30, :44]).mean() < 12  # chroma is halved
    np.testing.assert_allclose(np.diff(sample.frame_times), 0.04)
    assert sample.license == "CC0"
    assert sample.extra["dataset"] == "pictures"


def test_the_estimate_is_what_the_first_clip_costs(tmp_path):
    source = Pictures()
    outcome = converted(str(tmp_path), source)
    estimate = estimate_clip(str(tmp_path), source, POLICY)
    members = read_index(str(tmp_path), 0)[0].members
    assert estimate.clip_bytes == sum(member.length for member in members)
    assert estimate.error is None
    assert outcome.num_bytes > estimate.clip_bytes


def test_an_estimate_says_why_the_first_clip_cannot_be_converted(tmp_path):
    source = Pictures()
    write_plan(str(tmp_path), iter([replace(clip, shard=0) for clip in plan_sequences(source, source.sequences()[2:], POLICY).clips]))
    assert "s2/000007.png" in estimate_clip(str(tmp_path), source, POLICY).error
    assert len(read_shard_plan(str(tmp_path), 0)) == 1


def test_checks_are_summed_up_in_a_document(tmp_path):
    converted(str(tmp_path), Pictures())
    assert write_check_summary(str(tmp_path)) == ()  # pictures alone give no grounds for any
    assert read_document(str(tmp_path / "checks.json"), "checks")["checks"] == []
