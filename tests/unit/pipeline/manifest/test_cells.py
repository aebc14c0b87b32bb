from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from pipeline.errors import DataError
from pipeline.manifest.cells import Cells, json_row


def test_values_become_json_types_and_nothing_becomes_none():
    row = {
        "a": float("nan"),
        "b": float("inf"),
        "c": "",
        "d": [1, float("nan"), {"e": Decimal("1.5")}],
        "f": timedelta(seconds=2),
        "g": b"ok",
    }
    expected = {"a": None, "b": None, "c": None, "d": [1, None, {"e": 1.5}], "f": 2.0, "g": "ok"}
    assert json_row(row) == expected
    assert json_row({"t": datetime(2024, 5, 1, 12, 0)}) == {"t": "2024-05-01T12:00:00"}
    assert json_row({"yes": True, "n": 2**60, "word": "nan"}) == {"yes": True, "n": 2**60, "word": "nan"}


def test_text_that_was_no_utf8_is_refused_by_its_column():
    with pytest.raises(DataError, match="column 'caption' is not valid UTF-8"):
        json_row({"caption": b"caf\xe9".decode("utf-8", "surrogateescape")})


@pytest.mark.parametrize("nothing", [None, "", "  ", "nan", "NaN", "None", "null"])
def test_a_mapped_cell_with_nothing_in_it_is_none(nothing):
    assert Cells({"c": nothing}, {"camera": "c"}).value("camera") is None


def test_a_role_without_a_column_is_none_even_beside_a_column_without_a_name():
    assert Cells({"": "0"}, {"path": "p"}).value("camera") is None


def test_an_id_that_a_typed_table_made_a_float_is_a_whole_number_again():
    assert Cells({"id": 1234.0}, {"id": "id"}).text("id") == "1234"


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, True])
def test_a_list_an_object_or_a_truth_value_is_no_text(value):
    with pytest.raises(DataError, match="column 'l' holds .*, expected text or a number; correct or drop the row"):
        Cells({"l": value}, {"license": "l"}).text("license")


def test_a_cell_that_is_nested_too_deeply_is_refused_by_its_column():
    value: list = []
    for _ in range(40):
        value = [value]
    with pytest.raises(DataError, match="column 'c' is nested deeper than 32 levels"):
        json_row({"c": value})


@pytest.mark.parametrize("row", [{"c": "\ud800"}, {"c": ["\udfff"]}, {"\ud800": 1}])
def test_half_a_character_is_refused(row):
    with pytest.raises(DataError, match="holds half of a character"):
        json_row(row, names=("c",))


def test_bytes_that_are_no_utf8_stay_in_columns_that_name_files_alone():
    name = b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    assert json_row({"p": name, "q": b"caf\xe9.mp4"}, names=("p", "q")) == {"p": name, "q": name}
    with pytest.raises(DataError, match="column 'q' is not valid UTF-8"):
        json_row({"q": name}, names=("p",))


def test_a_file_name_holds_no_nul():
    with pytest.raises(DataError, match="column 'p' holds a NUL character"):
        json_row({"p": "a\0.mp4"}, names=("p",))
