import webdataset

from pipeline.records import ClipRecord
from pipeline.shards.index import ClipEntry
from pipeline.shards.tar import ShardWriter, TarSample


def sample_of(key: str, video: bytes | tuple[bytes, ...], codec: str, arrays: bytes | None = None) -> tuple[ClipEntry, TarSample]:
    record = ClipRecord(
        key=key, source=key, source_id=key, split="train", start_s=0.0, end_s=1.0, fps=2.0, frames=2, width=8, height=8,
        codec=codec, video="copy", sha256="0" * 64, timestamps=(0.0, 0.5),
    )  # fmt: skip
    entry = ClipEntry(key=key, sample_key=key, tar="000000.tar", source=key, source_id=key, split="train")
    return entry, TarSample(record=record, video=video, document=b'{"key": "%s"}' % key.encode(), arrays=arrays)


def test_the_bytes_are_those_of_webdatasets_own_writer_and_every_member_lies_where_it_is_said_to(tmp_path):
    samples = [
        sample_of("walk-000000", bytes(range(256)) * 5, "h264", b"arrays"),
        sample_of("walk-000001", (b"one", b"two" * 400), "jpg"),
    ]
    with ShardWriter(tmp_path / "ours.tar") as writer:
        entries = [writer.add(*sample) for sample in samples]
    with webdataset.TarWriter(str(tmp_path / "theirs.tar"), encoder=False, mtime=0) as theirs:
        for entry, sample in samples:
            theirs.write({"__key__": entry.key, **sample.members()})
    written = (tmp_path / "ours.tar").read_bytes()
    assert written == (tmp_path / "theirs.tar").read_bytes()
    for entry, (_, sample) in zip(writer.located(entries), samples, strict=True):
        found = {member.name: written[member.offset : member.offset + member.length] for member in entry.members}
        assert found == sample.members()
