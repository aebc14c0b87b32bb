import subprocess

import pytest

from pipeline.errors import DataError
from pipeline.manifest.tables import open_rows

KNOWN = ("path", "start", "end")
TABLE = 'path,start,caption\na.mp4,1,"semi; and\ttab, café"\nb.mp4,2,plain\n'


def rows_of(path, known=KNOWN):
    with open_rows(path, known) as table:
        return table.columns, [row.values if row.error is None else row.error for row in table.rows]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_whatever_the_suffix_says(put, delimiter, suffix):
    columns, rows = rows_of(put(f"m{suffix}", f'path{delimiter}start\n"a;b,c\td|e.mp4"{delimiter}1\nx.mp4{delimiter}2\n'))
    assert columns == ("path", "start")
    assert rows == [{"path": "a;b,c\td|e.mp4", "start": "1"}, {"path": "x.mp4", "start": "2"}]


def test_known_names_count_more_than_the_number_of_columns(put):
    assert rows_of(put("m.csv", "path;what, where, when\na.mp4;b, c, d\n"))[0] == ("path", "what, where, when")


def test_names_within_quotes_do_not_count(put):
    assert rows_of(put("m.csv", 'path,"start;end;x"\na.mp4,1\n'))[0] == ("path", "start;end;x")


def test_a_table_of_one_column_is_not_cut(put):
    assert rows_of(put("m.csv", "path\na;b.mp4\nc|d.mp4\n")) == (("path",), [{"path": "a;b.mp4"}, {"path": "c|d.mp4"}])


def test_excels_own_first_line_names_the_delimiter(put):
    assert rows_of(put("m.csv", "sep=;\r\npath;start\r\na.mp4;1\r\n")) == (("path", "start"), [{"path": "a.mp4", "start": "1"}])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_of_unicode_are_recognised(put, encoding):
    expected = [{"path": "a.mp4", "start": "1", "caption": "semi; and\ttab, café"}, {"path": "b.mp4", "start": "2", "caption": "plain"}]
    assert rows_of(put("m.csv", TABLE.encode(encoding)))[1] == expected
    assert rows_of(put("m.jsonl", '{"path": "é.mp4"}\n'.encode(encoding)))[1] == [{"path": "é.mp4"}]


@pytest.mark.parametrize(("mark", "encoding"), [(b"\xfe\xff", "utf-16-be"), (b"\x00\x00\xfe\xff", "utf-32-be")])
def test_marks_of_the_other_byte_order_are_recognised(put, mark, encoding):
    assert rows_of(put("m.csv", mark + TABLE.encode(encoding)))[0] == ("path", "start", "caption")


def test_utf16_cut_within_a_character_costs_what_comes_after(put):
    columns, rows = rows_of(put("m.csv", ("path,start\n" + "a.mp4,1\n" * 3000).encode("utf-16")[:-1]))
    assert columns == ("path", "start")
    assert rows[0] == {"path": "a.mp4", "start": "1"}
    assert "cannot be read as utf-16" in rows[-1]


def test_the_command_against_a_latin1_header_makes_a_table_that_is_read(put, tmp_path):
    path = put("m é.csv", "path,légende\na.mp4,café\n".encode("latin-1"))
    with pytest.raises(DataError, match="column l%E9gende is not valid UTF-8; if the table is in Latin-1, iconv") as raised:
        rows_of(path)
    command = str(raised.value).partition("in Latin-1, ")[2].partition(" makes it UTF-8")[0]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert rows_of(str(tmp_path / "m é.utf8.csv"))[1] == [{"path": "a.mp4", "légende": "café"}]


@pytest.mark.parametrize(
    ("data", "remedy"), [(b"\x1f\x8b\x08\x00", "gunzip"), (b"PK\x03\x04..", "save the sheet as CSV"), (b"PAR1....", "name it .parquet")]
)
def test_what_is_no_text_is_refused_with_the_way_out(put, data, remedy):
    for name in ("m.csv", "m.jsonl"):
        with pytest.raises(DataError, match=remedy):
            rows_of(put(name, data))


def test_a_header_with_nul_bytes_is_refused(put):
    with pytest.raises(DataError, match="NUL"):
        rows_of(put("m.csv", b"path,st\x00art\na.mp4,1\n"))


def test_a_cell_beyond_the_limit_costs_its_row(put):
    rows = rows_of(put("m.csv", f"path,start\na.mp4,{'x' * 200_000}\nb.mp4,2\n"))[1]
    assert "larger than field limit" in rows[0]
    assert rows[1:] == [{"path": "b.mp4", "start": "2"}]


def test_half_a_character_in_a_header_is_refused_and_in_a_key_costs_its_line(put):
    with pytest.raises(DataError, match=r"column 'st\\ud800' holds half of a character"):
        rows_of(put("m.csv", "path,st\ud800\n".encode("utf-16", "surrogatepass")))
    assert rows_of(put("m.jsonl", '{"path": "a", "\\ud800": 1}\n'))[0] == ("path",)
