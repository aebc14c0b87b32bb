"""Real files of torch.save, whole and broken."""

import argparse
import hashlib
import io
import os
import types
import zipfile

import pytest
import torch
from torch import nn

from networks.weights import read_weights
from pipeline.errors import ConfigError, StorageError


def saved(content: object, **options: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    return {"a.weight": torch.arange(600.0).reshape(20, 30), "a.bias": torch.full((20,), -0.5)}


def test_tensors_and_hash_are_of_the_same_bytes(tmp_path, weights, monkeypatch):
    data = saved({"model": weights, "step": 7})
    (tmp_path / "w.pth").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    file = read_weights("w.pth")
    assert (file.source, file.path) == ("w.pth", str(tmp_path / "w.pth"))
    assert file.sha256 == hashlib.sha256(data).hexdigest()
    torch.testing.assert_close(dict(file.tensors), weights, rtol=0, atol=0)


def test_a_url_is_read_like_a_path(weights):
    import fsspec

    with fsspec.open("memory://weights/w.pth", "wb") as handle:
        handle.write(saved(weights))
    file = read_weights("memory://weights/w.pth")
    assert file.path == "memory://weights/w.pth"
    torch.testing.assert_close(dict(file.tensors), weights)


def test_only_the_file_with_the_expected_hash_is_taken(tmp_path, weights):
    path = tmp_path / "w.pth"
    path.write_bytes(saved(weights))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_weights(str(path), sha256=digest.upper()).sha256 == digest
    with pytest.raises(ConfigError, match=f"its sha256 is {digest}, expected {'0' * 64}; it is another file"):
        read_weights(str(path), sha256="0" * 64)
    with pytest.raises(ConfigError, match="expected 64 hex digits"):
        read_weights(str(path), sha256="sha256:12")


def test_a_missing_file_and_a_directory_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no file .*w\.pth; check the path, or name a hub file as hf://"):
        read_weights(str(tmp_path / "w.pth"))
    with pytest.raises(ConfigError, match="is a directory"):
        read_weights(str(tmp_path))
    with pytest.raises(StorageError, match="nonsense"):
        read_weights("nonsense://bucket/w.pth")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><html>404</html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 34\n",
        saved({"a": torch.zeros(3)}, _use_new_zipfile_serialization=False),
    ],
    ids=["empty", "web page", "git-lfs pointer", "torch before 1.6"],
)
def test_a_file_of_another_kind_is_shown_by_its_first_bytes(tmp_path, data):
    (tmp_path / "w.pth").write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_weights(str(tmp_path / "w.pth"))
    assert f"it has {len(data)} bytes and begins {data[:24]!r}" in str(caught.value)
    assert "fetch it again" in str(caught.value)


def test_a_file_cut_anywhere_is_refused(tmp_path, weights):
    data = saved(weights)
    for length in range(30, len(data), 97):
        (tmp_path / "w.pth").write_bytes(data[:length])
        with pytest.raises(ConfigError, match=rf"w\.pth is damaged or cut short: {length} bytes, .*; fetch it again"):
            read_weights(str(tmp_path / "w.pth"))


def test_one_flipped_bit_among_the_numbers_is_refused(tmp_path, weights):
    data = bytearray(saved(weights))
    data[data.index(weights["a.weight"].numpy().tobytes()) + 1000] ^= 1
    assert torch.load(io.BytesIO(bytes(data)), weights_only=True)  # torch does not notice
    (tmp_path / "w.pth").write_bytes(data)
    with pytest.raises(ConfigError, match=r"damaged or cut short: .*data/0 fails its checksum"):
        read_weights(str(tmp_path / "w.pth"))


def test_a_file_saved_without_checksums_is_taken_by_its_hash(tmp_path, weights):
    torch.serialization.set_crc32_options(False)
    data = saved(weights)
    torch.serialization.set_crc32_options(True)
    (tmp_path / "w.pth").write_bytes(data)
    with pytest.raises(ConfigError, match="fails its checksum"):
        read_weights(str(tmp_path / "w.pth"))
    file = read_weights(str(tmp_path / "w.pth"), sha256=hashlib.sha256(data).hexdigest())
    torch.testing.assert_close(dict(file.tensors), weights)


def test_damaged_files_never_end_in_another_error(tmp_path, weights):
    data, refused = saved(weights), 0
    for position in range(4, len(data), 53):
        broken = bytearray(data)
        broken[position] ^= 0xA5
        (tmp_path / "w.pth").write_bytes(broken)
        try:
            torch.testing.assert_close(dict(read_weights(str(tmp_path / "w.pth")).tensors), weights)  # hit what nobody reads
        except ConfigError:
            refused += 1
    assert refused > 20


def test_half_of_the_names_with_a_prefix_is_not_guessed_at(tmp_path, weights):
    (tmp_path / "w.pth").write_bytes(saved({"module.a.weight": weights["a.weight"], "a.bias": weights["a.bias"]}))
    assert set(read_weights(str(tmp_path / "w.pth")).tensors) == {"module.a.weight", "a.bias"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "holds a list, expected tensors by name"),
        (torch.zeros(3), "holds a Tensor, expected tensors by name"),
        ({}, "holds nothing, expected tensors by name"),
        ({"model": {}}, "holds nothing, expected tensors by name"),
        ({"state_dict": {"a": 3}}, "a are no tensors"),
        ({"weights": {"a": torch.zeros(1)}, "epoch": 3}, "weights, epoch are no tensors"),
        ({"a": torch.tensor([0.0, float("nan")]), "b": torch.zeros(1)}, ": a hold NaN or inf"),
        ({"a": torch.tensor([1])}, "a are not floating"),
    ],
)
def test_other_things_are_not_weights(content, message, tmp_path):
    (tmp_path / "w.pth").write_bytes(saved(content))
    with pytest.raises(ConfigError, match=message):
        read_weights(str(tmp_path / "w.pth"))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"args": types.SimpleNamespace(lr=1)}, r"types\.SimpleNamespace"),
        ({"args": argparse.Namespace(net=nn.Linear(2, 2)), "model": {}}, "Linear"),  # the options of a training, with more than values
        (nn.Linear(2, 2), "Linear"),
    ],
)
def test_objects_within_a_file_are_named(tmp_path, content, named):
    (tmp_path / "w.pth").write_bytes(saved(content))
    with pytest.raises(ConfigError, match=rf"holds more than weights: [\w.]*{named}\. .*save its state_dict alone"):
        read_weights(str(tmp_path / "w.pth"))


class Intruder:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


def test_code_within_a_file_is_not_run(tmp_path):
    (tmp_path / "w.pth").write_bytes(saved({"model": Intruder(str(tmp_path / "proof"))}))
    with pytest.raises(ConfigError, match=r"holds more than weights: \w+\.mkdir\. Loading it would run code"):
        read_weights(str(tmp_path / "w.pth"))
    assert not (tmp_path / "proof").exists()
    torch.load(tmp_path / "w.pth", weights_only=False)  # and it would have been
    assert (tmp_path / "proof").exists()


@pytest.mark.filterwarnings("ignore:.*TorchScript")
def test_a_program_and_a_foreign_archive_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ConfigError, match="damaged or cut short"):
        read_weights(str(tmp_path / "other.zip"))
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:  # what torch tells a program by
        for name, data in {"code/a.py": "", "constants.pkl": "", "version": "3\n", "data.pkl": ""}.items():
            archive.writestr(f"script/{name}", data)
    with pytest.raises(ConfigError, match="holds more than weights: a TorchScript program"):
        read_weights(str(tmp_path / "script.pt"))
