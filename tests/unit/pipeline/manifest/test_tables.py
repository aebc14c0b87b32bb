import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataError
from pipeline.manifest.tables import open_rows, table_suffix


def rows_of(path):
    with open_rows(path) as table:
        return table.columns, [(row.number, row.values if row.error is None else row.error) for row in table.rows]


def test_csv_may_begin_with_a_bom_and_hold_quoted_line_breaks(put):
    path = put("m.csv", '\ufeffvideo,caption\r\na.mp4,"two\r\nlines, and ""quotes"""\r\n\r\nb.mp4,\r\n')
    assert rows_of(path) == (
        ("video", "caption"),
        [(1, {"video": "a.mp4", "caption": 'two\r\nlines, and "quotes"'}), (2, {"video": "b.mp4", "caption": ""})],
    )


def test_tsv_is_cut_at_tabs(put):
    assert rows_of(put("m.TSV", "a\tb, c\n1\t2, 3\n")) == (("a", "b, c"), [(1, {"a": "1", "b, c": "2, 3"})])


def test_a_row_with_too_few_or_too_many_cells_is_an_error_with_its_lines_and_the_others_go_on(put):
    _, rows = rows_of(put("m.csv", 'a,b\n"1\n2",3\nonly\n4,5,6\n7,8\n'))
    assert rows[0] == (1, {"a": "1\n2", "b": "3"})
    assert rows[1] == (2, "1 cells at lines 4 to 4, the header has 2; mend the delimiters and quotes there")
    assert rows[2][0] == 3
    assert "3 cells at lines 5 to 5" in rows[2][1]
    assert rows[3] == (4, {"a": "7", "b": "8"})


def test_an_unclosed_quote_costs_its_own_lines_only(put):
    _, rows = rows_of(put("m.csv", 'a,b\n1,"broken\n2,"fine"\n3,ok\n'))
    assert rows[0] == (1, "lines 2 to 3 cannot be read (',' expected after '\"'); mend the quotes there")
    assert rows[1] == (2, {"a": "3", "b": "ok"})


def test_a_quote_open_at_the_end_of_the_file_is_an_error_too(put):
    _, rows = rows_of(put("m.csv", 'a,b\n1,2\n3,"4\n'))
    assert rows[0] == (1, {"a": "1", "b": "2"})
    assert "unexpected end of data" in rows[1][1]


def test_of_two_columns_of_one_name_the_first_counts(put):
    assert rows_of(put("m.csv", "a,b,a\n1,2,3\n")) == (("a", "b"), [(1, {"a": "1", "b": "2"})])


def test_a_csv_without_a_header_is_refused(put):
    with pytest.raises(DataError, match="no header row"):
        rows_of(put("m.csv", ""))


def test_jsonl_columns_are_those_of_all_rows_and_a_broken_line_is_one_error(put):
    columns, rows = rows_of(put("m.jsonl", '\ufeff{"a": 1}\n\n{"a": \n[1]\n{"b": [1, 2]}\n'))
    assert columns == ("a", "b")
    assert [number for number, _ in rows] == [1, 2, 3, 4]
    assert rows[0][1] == {"a": 1}
    assert "not valid JSON" in rows[1][1]
    assert "a JSON list, expected an object" in rows[2][1]
    assert rows[3][1] == {"b": [1, 2]}


def test_parquet_keeps_its_types(tmp_path):
    path = str(tmp_path / "m.parquet")
    pq.write_table(pa.table({"video": ["a.mp4", "b.mp4"], "clips": [[[1.0, 2.0]], None]}), path)
    expected = [(1, {"video": "a.mp4", "clips": [[1.0, 2.0]]}), (2, {"video": "b.mp4", "clips": None})]
    assert rows_of(path) == (("video", "clips"), expected)


def test_a_parquet_file_that_is_none_is_refused_by_name(put):
    with pytest.raises(DataError, match=r"m\.parquet: not a readable Parquet file"):
        rows_of(put("m.parquet", "hello"))


@pytest.mark.parametrize(("uri", "suffix"), [("a.CSV", ".csv"), ("s3://b/x.parquet", ".parquet"), ("a.mp4", ""), ("a.csv.mp4", "")])
def test_tables_are_known_by_their_suffix(uri, suffix):
    assert table_suffix(uri) == suffix


def test_cells_of_a_parquet_table_that_have_no_value_in_python_cost_their_row(tmp_path):
    path = str(tmp_path / "m.parquet")
    days = pa.array([19_000, 10**6 * 9], pa.date32())  # the second lies in the year 26611
    pq.write_table(pa.table({"path": ["a.mp4", "b.mp4"], "day": days, "kind": pa.array(["x", "y"]).dictionary_encode()}), path)
    columns, rows = rows_of(path)
    assert columns == ("path", "day", "kind")
    assert rows[0][1]["path"] == "a.mp4"
    assert rows[0][1]["kind"] == "x"
    assert "column 'day' (date32[day]) cannot be read" in rows[1][1]


def test_of_two_parquet_columns_of_one_name_the_first_counts_and_is_said(tmp_path):
    path = str(tmp_path / "m.parquet")
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], names=["path", "x", "path"]), path)
    with open_rows(path) as table:
        assert (table.columns, table.repeated) == (("path", "x"), {"path"})
        assert [row.values for row in table.rows] == [{"path": "a", "x": "b"}]


def test_json_nested_without_end_and_numbers_without_end_cost_their_line(put):
    deep = "[" * 100_000 + "]" * 100_000
    _, rows = rows_of(put("m.ndjson", '{"path": ' + deep + '}\n{"n": ' + "1" * 5000 + '}\n{"path": "a"}\n'))
    assert rows[0] == (1, "not valid JSON (nested too deeply); write one object per line")
    assert "not valid JSON" in rows[1][1]
    assert rows[2] == (3, {"path": "a"})
