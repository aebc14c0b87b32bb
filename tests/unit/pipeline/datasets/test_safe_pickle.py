import io
import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from pipeline.datasets.npz import open_npz
from pipeline.datasets.safe_pickle import load_npy, load_pickle
from pipeline.datasets.torch_files import load_pth
from pipeline.errors import DataError


class Runs:
    """A pickle of this calls os.mkdir."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def npy(value, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, value, **options)
    return buffer.getvalue()


def pth(value) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_are_read_from_every_protocol(protocol):
    value = {"a": np.arange(6.0).reshape(2, 3), "b": [np.float32(2), (1, b"x", None)], "c": OrderedDict(d={3}), "e": np.array(["x"])}
    found = load_pickle(io.BytesIO(pickle.dumps(value, protocol=protocol)), "file")
    np.testing.assert_array_equal(found["a"], value["a"])
    assert found["b"] == value["b"]
    assert found["c"] == value["c"]
    assert found["e"].tolist() == ["x"]


def test_what_would_run_code_is_not_run(tmp_path):
    made = tmp_path / "made"
    for data, load in ((npy({"x": Runs(made)}, allow_pickle=True), load_npy), (pth({"x": Runs(made)}), load_pth)):
        with pytest.raises(DataError, match=r"file: its pickle asks for (posix|nt)\.mkdir.*--trust-pickle"):
            load(data, "file")
        assert not made.exists()


def test_a_trusted_file_may_ask_for_anything(tmp_path):
    made = tmp_path / "made"
    load_npy(npy({"x": Runs(made)}, allow_pickle=True), "file", trust_pickle=True)
    assert made.exists()


def test_a_dictionary_saved_by_numpy_comes_back_as_one():
    found = load_npy(npy({"coords": np.eye(2)}, allow_pickle=True), "file")
    np.testing.assert_array_equal(found["coords"], np.eye(2))


def test_plain_arrays_need_no_pickle():
    np.testing.assert_array_equal(load_npy(npy(np.arange(4)), "file"), np.arange(4))


@pytest.mark.parametrize("data", [b"", b"\x80\x04", pickle.dumps([1, 2, 3])[:-3], b"no pickle at all"])
def test_a_damaged_pickle_is_named(data):
    with pytest.raises(DataError, match="clip.npy: its pickle does not read"):
        load_pickle(io.BytesIO(data), "clip.npy")


def test_tensors_come_as_arrays_with_their_strides_and_types():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    value = {"view": base[1:, ::2].T, "bool": torch.tensor([True, False]), "half": torch.ones(2).half(), "long": torch.tensor(7)}
    value |= {"empty": torch.zeros(0, 3), "numpy": np.array([1.5]), "text": "x"}
    found = load_pth(pth(value), "file")
    np.testing.assert_array_equal(found["view"], base.numpy()[1:, ::2].T)
    assert found["bool"].tolist() == [True, False]
    assert found["half"].dtype == np.float16
    assert int(found["long"]) == 7
    assert found["empty"].shape == (0, 3)
    assert found["numpy"].tolist() == [1.5]
    assert found["text"] == "x"


def test_a_tensor_that_reaches_beyond_its_storage_is_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(pth({"x": torch.arange(4, dtype=torch.float32)}))) as file, zipfile.ZipFile(buffer, "w") as forged:
        for name in file.namelist():
            data = file.read(name)
            changed = data.replace(b"K\x04\x85", b"K\x40\x85") if name.endswith("data.pkl") else data
            assert (changed != data) == name.endswith("data.pkl")  # a size of 64 where there are 4 numbers
            forged.writestr(name, changed)
    with pytest.raises(DataError, match="does not fit its storage of 4"):
        load_pth(buffer.getvalue(), "file")


def test_the_older_torch_format_is_explained():
    buffer = io.BytesIO()
    torch.save({"x": torch.zeros(2)}, buffer, _use_new_zipfile_serialization=False)
    with pytest.raises(DataError, match="not a zip, as torch 1.6 and later write it"):
        load_pth(buffer.getvalue(), "file")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_rows_of_an_npz_are_those_of_the_array(save, tmp_path):
    array = np.random.default_rng(0).random((50, 3, 40))
    uri = str(tmp_path / "a.npz")
    save(uri, c=array, fortran=np.asfortranarray(array), objects=np.array([b"1", b"22", b"333"], object))
    with open_npz(uri) as file:
        assert set(file.names) == {"c", "fortran", "objects"}
        assert file.shape("c") == (50, 3, 40)
        np.testing.assert_array_equal(file.rows("c", 17, 5), array[17:22])
        np.testing.assert_array_equal(file.rows("fortran", 17, 5), array[17:22])
        assert file.rows("objects", 1, 2).tolist() == [b"22", b"333"]
        with pytest.raises(DataError, match=r"expected at least 52 rows"):
            file.rows("c", 48, 4)
        with pytest.raises(DataError, match=r"no array 'd', found c, "):
            file.read("d")


def test_an_npz_whose_objects_would_run_code_is_refused(tmp_path):
    uri, made = str(tmp_path / "a.npz"), tmp_path / "made"
    np.savez(uri, x=np.array([Runs(made)], object))
    with open_npz(uri) as file, pytest.raises(DataError, match="mkdir"):
        file.read("x")
    assert not made.exists()


def test_a_damaged_npz_is_named(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).random(1000))
    data = bytearray(path.read_bytes())
    data[200:260] = b"\xff" * 60
    path.write_bytes(data)
    with pytest.raises(DataError, match="a.npz"), open_npz(str(path)) as file:
        file.rows("x", 900, 50)
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="not a readable npz file"), open_npz(str(path)):
        pass
