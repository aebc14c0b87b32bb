"""Every file carries its kind and version, and a reader refuses what it cannot read, in both directions."""

import ast
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import DataError, FormatError
from pipeline.tables import SCHEMA_VERSIONS, open_table, read_document, read_table, write_document, write_table

TABLE = pa.table({"key": ["a", "b"]})


def write_version(path, version: int, kind: str = "plan") -> None:
    pq.write_table(TABLE.replace_schema_metadata({"trackmill_kind": kind, "schema_version": str(version)}), path)


def test_a_table_comes_back_with_its_stamp(tmp_path):
    uri = str(tmp_path / "plan.parquet")
    write_table(uri, TABLE, "plan")
    assert read_table(uri, "plan")["key"].to_pylist() == ["a", "b"]
    assert pq.read_schema(uri).metadata[b"schema_version"] == str(SCHEMA_VERSIONS["plan"]).encode()


def test_equal_tables_are_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_table(str(tmp_path / name), TABLE, "plan")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("version", "remedy"), [(99, "upgrade it"), (0, "run the job that wrote it again into a new root")])
def test_another_version_is_refused_with_both_versions_and_the_remedy(tmp_path, version, remedy):
    uri = str(tmp_path / "plan.parquet")
    write_version(uri, version)
    with pytest.raises(FormatError, match=rf"plan.parquet: plan schema version {version}, this trackmill reads .*1; {remedy}"):
        read_table(uri, "plan")


def test_a_table_of_another_kind_or_tool_is_refused(tmp_path):
    write_version(tmp_path / "x.parquet", 1, kind="labels")
    with pytest.raises(DataError, match="expected a plan table of trackmill, found a labels table"):
        read_table(str(tmp_path / "x.parquet"), "plan")
    pq.write_table(TABLE, tmp_path / "y.parquet")
    with pytest.raises(DataError, match="a table of another tool"):
        read_table(str(tmp_path / "y.parquet"), "plan")


def test_a_broken_table_is_named(tmp_path):
    (tmp_path / "z.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match=r"z.parquet: not a readable Parquet file"), open_table(str(tmp_path / "z.parquet"), "plan"):
        pass


def test_documents_are_stable_and_versioned(tmp_path):
    uri = str(tmp_path / "dataset.json")
    write_document(uri, {"b": 1, "a": {"d": 2, "c": "é"}}, "dataset")
    assert list(json.loads((tmp_path / "dataset.json").read_text())) == ["a", "b", "schema_version"]
    assert read_document(uri, "dataset")["a"] == {"c": "é", "d": 2}
    (tmp_path / "dataset.json").write_text('{"schema_version": 7}')
    with pytest.raises(FormatError, match="schema version 7, this trackmill reads up to 1"):
        read_document(uri, "dataset")
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        read_document(uri, "dataset")


def test_no_thread_of_arrow_reads_a_python_file():
    """One that lets go of it while the interpreter ends aborts the process, after everything is committed."""
    reads = [
        (path.name, node)
        for path in sorted((Path(__file__).parents[3] / "pipeline").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr.startswith("read_row_group")
        or (node.func.attr == "read" and any(each.arg == "columns" for each in node.keywords))
    ]
    assert len(reads) > 4
    assert [(name, node.lineno) for name, node in reads if not any(each.arg == "use_threads" for each in node.keywords)] == []
