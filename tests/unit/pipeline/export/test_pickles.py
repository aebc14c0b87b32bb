"""Pickles and NumPy files as other readers load them."""

import io
import pickle
from collections.abc import Callable

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.export.pickles import bytes_array, dict_pickle, join_dict_pickles, npz_bytes, object_npy, plain_pickle

ARRAYS = {
    "points": np.arange(6, dtype=np.float32).reshape(3, 2).T,
    "seen": np.array([True, False]),
    "tricky": np.frombuffer(b"cnumpy._core.multiarray\n_reconstruct\n", np.uint8),  # what looks like a name is data here
    "none": np.zeros((0, 3), np.uint8),
}


@pytest.mark.parametrize("written", [plain_pickle, dict_pickle])
def test_arrays_come_back_and_old_names_are_used(written: Callable[[object], bytes]):
    data = written(ARRAYS)
    found = pickle.loads(data)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    assert data.count(b"numpy._core") == 1  # the data alone
    assert data == written({name: array.copy(order="K") for name, array in ARRAYS.items()})


def test_a_dictionary_alone_is_an_npy_as_np_save_makes_it():
    found = np.load(io.BytesIO(object_npy({"a": ARRAYS["points"], "b": "text"})), allow_pickle=True).item()
    np.testing.assert_array_equal(found["a"], ARRAYS["points"])
    assert found["b"] == "text"


def test_files_keep_their_zeros_in_an_npz():
    files = [b"\x00\x01\x00\x00", b"", b"\xff"]
    data = npz_bytes({"files": bytes_array(files), "points": ARRAYS["points"]})
    found = np.load(io.BytesIO(data), allow_pickle=True)
    assert found["files"].tolist() == files
    np.testing.assert_array_equal(np.load(io.BytesIO(data))["points"], ARRAYS["points"])  # without leave to unpickle
    assert data == npz_bytes({"files": bytes_array(files), "points": ARRAYS["points"].copy()})


@pytest.mark.parametrize("count", [0, 1, 3])
def test_joined_dictionaries_are_one(count, tmp_path):
    parts = [{f"clip-{number}": {"video": np.full((2, 2), number), "points": ARRAYS["points"]}} for number in range(count)]
    for number, part in enumerate(parts):
        (tmp_path / f"{number}.pkl").write_bytes(dict_pickle(part))
    with (tmp_path / "all.pkl").open("w+b") as handle:
        join_dict_pickles([str(tmp_path / f"{number}.pkl") for number in range(count)], handle)
    found = pickle.loads((tmp_path / "all.pkl").read_bytes())
    assert list(found) == [f"clip-{number}" for number in range(count)]
    assert all((found[f"clip-{number}"]["video"] == number).all() for number in range(count))
    together = {key: value for part in parts for key, value in part.items()}
    assert (tmp_path / "all.pkl").read_bytes() == dict_pickle(together)


def test_a_file_of_another_form_is_not_joined(tmp_path):
    (tmp_path / "other.pkl").write_bytes(pickle.dumps({"a": 1}, protocol=5))
    with pytest.raises(DataError, match="other.pkl"), (tmp_path / "all.pkl").open("w+b") as handle:
        join_dict_pickles([str(tmp_path / "other.pkl")], handle)
