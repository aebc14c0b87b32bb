import json
import os
import socket

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError
from pipeline.manifest import ManifestOptions, read_manifest


def names_of(found):
    return [spec.relative_uri for spec in found.specs]


def test_files_of_a_folder_are_whole_clips_of_their_own(put, read, tmp_path):
    put("v/a.b.mp4"), put("v/é/c d.mkv")
    found = read("v", license="CC-BY-4.0")
    assert [(spec.relative_uri, spec.source_id, spec.license, spec.row, spec.start_s) for spec in found.specs] == [
        ("a.b.mp4", "a.b.mp4", "CC-BY-4.0", None, None),
        ("é/c d.mkv", "é/c d.mkv", "CC-BY-4.0", None, None),
    ]
    assert found.specs[0].source_uri == str(tmp_path / "v/a.b.mp4")


def test_folders_globs_files_and_tables_may_be_mixed_and_keep_their_order(put, read):
    put("one/a.mp4"), put("two/b.mkv"), put("c.avi"), put("d.mp4")
    put("m.jsonl", json.dumps({"path": "d.mp4", "start_s": 1}) + "\n")
    assert names_of(read("one", "m.jsonl", "two/*.mkv", "c.avi")) == ["a.mp4", "d.mp4", "b.mkv", "c.avi"]


def test_equal_names_in_two_folders_are_told_apart_by_the_folders(put, read):
    put("one/x.mp4"), put("two/x.mp4"), put("two/y.mp4")
    found = read("one", "two")
    assert names_of(found) == ["one/x.mp4", "two/x.mp4", "y.mp4"]
    assert [spec.source_id for spec in found.specs] == names_of(found)


def test_a_file_given_twice_counts_once(put, read):
    put("v/a.mp4")
    found = read("v", "v/a.mp4", "v/*.mp4")
    assert names_of(found) == ["a.mp4"]
    assert found.count("duplicate") == 2
    assert found.problems[0].row is None


def test_clips_of_one_file_share_its_name_and_id_whoever_names_it(put, read, tmp_path):
    put("v/sub/a.mp4")
    put("m.csv", "path,video_id,start_s,end_s\nv/sub/a.mp4,first,0,1\nv/sub/a.mp4,second,1,2\n")
    found = read("m.csv", "v/sub")
    assert {(spec.relative_uri, spec.source_id) for spec in found.specs} == {("v/sub/a.mp4", "first")}
    assert [(spec.start_s, spec.end_s) for spec in found.specs] == [(0.0, 1.0), (1.0, 2.0), (None, None)]


def test_generic_rows_carry_everything_and_broken_ones_are_numbered(put, read):
    put("a b.mp4"), put("c.mp4")
    put(
        "m.csv",
        "file,from,to,terms,mood,cam\na b.mp4,0:01,00:00:02.5,CC0,calm,\nmissing.mp4,1,2,,,\n,1,2,,,\nc.mp4,x,2,,,\nc.mp4,5,4,,,\n"
        "a b.mp4,1,2.5,,other,\nc.mp4,,,,,nan\n",
    )
    found = read("m.csv", col_path="file", col_start="from", col_end="to", col_license="terms", col_camera="cam", license="unknown")
    first, last = found.specs
    assert (first.relative_uri, first.start_s, first.end_s, first.license, first.row) == ("a b.mp4", 1.0, 2.5, "CC0", 1)
    assert first.extra == {"mood": "calm"}
    assert (last.relative_uri, last.start_s, last.end_s, last.license, last.row) == ("c.mp4", None, None, "unknown", 7)
    assert last.extra == {"mood": None}
    assert [(problem.row, problem.kind) for problem in found.problems] == [
        *[(2, "missing"), (3, "broken"), (4, "broken"), (5, "broken"), (6, "duplicate")]
    ]
    assert "does not say which video" in found.problems[1].message
    assert "'x' is not a time" in found.problems[2].message


def test_a_row_that_is_no_utf8_is_one_problem(put, read):
    put("a.mp4")
    put("m.csv", b"path,caption\na.mp4,caf\xe9\na.mp4,ok\n")
    found = read("m.csv")
    assert [spec.row for spec in found.specs] == [2]
    assert found.problems[0].message.startswith("column 'caption' is not valid UTF-8; if the table is in Latin-1, iconv -f WINDOWS-1252")


def test_frames_count_in_the_video_or_at_a_given_rate(put, read):
    put("a.mp4")
    put("m.jsonl", "\n".join(json.dumps(row) for row in ({"path": "a.mp4", "f": 30, "g": 60}, {"path": "a.mp4", "f": 0, "g": 9})))
    (first, second) = read("m.jsonl", col_start_frame="f", col_end_frame="g").specs
    assert (first.start_frame, first.end_frame, first.start_s) == (30, 60, None)
    assert (second.start_frame, second.end_frame) == (0, 9)
    (first, _) = read("m.jsonl", col_start_frame="f", col_end_frame="g", frame_base_fps=24).specs
    assert (first.start_frame, first.start_s, first.end_s) == (None, 1.25, 2.5)


def test_a_row_may_name_its_own_rate(put, read):
    put("a.mp4")
    put("m.csv", "path,start_frame,end_frame,frame_base_fps\na.mp4,30,60,10\na.mp4,30,60,\na.mp4,1,2,0\n")
    found = read("m.csv", frame_base_fps=30)
    assert [(spec.start_s, spec.end_s) for spec in found.specs] == [(3.0, 6.0), (1.0, 2.0)]
    assert "'frame_base_fps' is 0" in found.problems[0].message


def test_seconds_and_frames_that_disagree_are_a_problem_of_the_row(put, read):
    put("a.mp4")
    put("m.csv", "path,start_s,end_s,start_frame,end_frame\na.mp4,1,2,30,60\na.mp4,3,4,30,120\n")
    found = read("m.csv", frame_base_fps=30)
    assert [(spec.row, spec.start_s) for spec in found.specs] == [(1, 1.0)]
    assert "3 s and frame 30 at 30 fps (1 s) differ" in found.problems[0].message


def test_lists_of_spans_may_be_nested_or_flat_text_or_typed(put, read, tmp_path):
    put("a.mp4"), put("b.mp4")
    put("m.csv", 'path,spans,tag\na.mp4,"[[0, 1.5], [""00:00:02.000"", ""00:00:03.000""]]",t\nb.mp4,"[4, 5]",u\n')
    found = read("m.csv", col_clips="spans")
    assert [(spec.relative_uri, spec.start_s, spec.end_s, spec.extra) for spec in found.specs] == [
        *[("a.mp4", 0.0, 1.5, {"tag": "t"}), ("a.mp4", 2.0, 3.0, {"tag": "t"}), ("b.mp4", 4.0, 5.0, {"tag": "u"})]
    ]
    typed = pa.table({"path": ["a.mp4", "b.mp4"], "spans": [[[0.0, 1.5], [2.0, 3.0]], [[4.0, 5.0]]], "score": [0.5, float("nan")]})
    pq.write_table(typed, tmp_path / "m.parquet")
    found = read("m.parquet", col_clips="spans")
    assert [(spec.relative_uri, spec.start_s, spec.end_s) for spec in found.specs] == [("a.mp4", 0, 1.5), ("a.mp4", 2, 3), ("b.mp4", 4, 5)]
    assert [spec.extra for spec in found.specs] == [{"score": 0.5}, {"score": 0.5}, {"score": None}]


def test_a_camera_belongs_to_a_rows_only_clip(put, read):
    put("a.mp4"), put("cameras/a.npz")
    put("m.csv", 'path,camera_path,spans\na.mp4,cameras/a.npz,"[[0, 1], [1, 2]]"\n')
    assert [spec.camera_uri for spec in read("m.csv", col_clips="spans").specs] == [None, None]
    assert read("m.csv").specs[0].camera_uri.endswith("cameras/a.npz")


def test_a_template_says_where_files_lie(put, read, tmp_path):
    put("v/p1/7.mkv"), put("v/p2/7.mkv")
    put("m.csv", "page,nr\np1,7\np2,7\np3,7\n")
    found = read("m.csv", path_template="{page}/{nr}", video_root=str(tmp_path / "v"))
    assert names_of(found) == ["p1/7.mkv", "p2/7.mkv"]
    assert found.specs[0].extra == {"page": "p1", "nr": "7"}
    assert [problem.kind for problem in found.problems] == ["missing"]


def test_paths_outside_the_video_root_keep_their_whole_path(put, read, tmp_path):
    path = put("elsewhere/a.mp4")
    put("t/m.csv", f"path\n{path}\n")
    assert names_of(read("t/m.csv")) == [path.lstrip("/")]
    assert names_of(read("t/m.csv", video_root=str(tmp_path))) == ["elsewhere/a.mp4"]


def test_tables_and_videos_in_a_store_are_read_alike(memory):
    memory("v/a.mp4"), memory("v/ü.mp4")
    bucket = memory("m.csv", "path,start_s,end_s\nv/a.mp4,0,1\nv/ü.mp4,1,2\nv/no.mp4,1,2\n".encode())
    found = read_manifest([f"{bucket}/m.csv"], ManifestOptions())
    assert names_of(found) == ["v/a.mp4", "v/ü.mp4"]
    assert found.specs[0].source_uri.startswith("memory://")
    assert [(problem.row, problem.kind) for problem in found.problems] == [(3, "missing")]
    assert names_of(read_manifest([f"{bucket}/m.csv"], ManifestOptions(video_root=f"{bucket}/v", path_template="../{path}"))) == []


def test_the_limit_counts_clips_and_nothing_beyond_is_read(put, read):
    put("v/a.mp4"), put("v/b.mp4"), put("v/c.mp4")
    put("m.csv", "path,start_s,end_s\nv/a.mp4,0,1\nv/a.mp4,0,1\nv/b.mp4,0,1\nv/c.mp4,0,1\nbroken\n")
    found = read("m.csv", "v", limit=2)
    assert [spec.row for spec in found.specs] == [1, 3]
    assert [problem.row for problem in found.problems] == [2]
    assert names_of(read("v", limit=1)) == ["a.mp4"]


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ([], {}, "no input"),
        (["m.csv"], {"preset": "folder"}, "m.csv is a table, --preset folder reads none"),
        (["v"], {"preset": "panda70m"}, "--preset panda70m reads a table"),
        (["v"], {"col_path": "x"}, "--col-path: no input is a table"),
        (["m.csv"], {"video_root": "nowhere"}, "--video-root nowhere: there is no such folder"),
        (["m.csv"], {"camera_root": "nowhere"}, "--camera-root nowhere: there is no such folder"),
        (["m.csv"], {"preset": "openvid"}, "no column 'video'; found path; name the right one with --col-path"),
    ],
)
def test_inputs_that_do_not_fit_the_options_are_refused(put, read, inputs, options, message):
    put("v/a.mp4"), put("m.csv", "path\nv/a.mp4\n")
    with pytest.raises(ConfigError, match=message):
        read(*inputs, **options)


def test_a_problem_says_file_row_and_remedy(put, read, tmp_path):
    put("m.csv", "path\nno.mp4\n")
    (problem,) = read("m.csv").problems
    assert str(problem) == (
        f"{tmp_path}/m.csv: row 1: there is no video no.mp4 below {tmp_path}; fetch it, give the right --video-root, or drop the row"
    )


def test_file_names_that_are_no_utf8_are_carried_escaped_from_folders_and_tables(put, read, tmp_path):
    for name in (b"caf\xe9.mp4", b"caf%E9.mp4", b"b.mp4"):
        (tmp_path / "d").mkdir(exist_ok=True)
        (tmp_path / os.fsdecode(b"d/" + name)).write_bytes(b"x")
    assert names_of(read("d")) == ["b.mp4", "caf%25E9.mp4", "caf%E9.mp4"]
    put("m.csv", b"path,video_id,caption\nd/caf\xe9.mp4,caf\xe9,one\nd/caf%E9.mp4,,two\nd/x\xe9.mp4,,three\n")
    found = read("m.csv")
    assert [(spec.relative_uri, spec.source_id, spec.extra["caption"]) for spec in found.specs] == [
        ("d/caf%E9.mp4", "caf%E9", "one"),
        ("d/caf%25E9.mp4", "d/caf%25E9.mp4", "two"),
    ]
    assert found.specs[0].extra["video_id"] == "caf%E9"
    assert found.specs[0].source_uri == f"{tmp_path}/d/caf%E9.mp4"
    assert (found.problems[0].kind, "x%E9.mp4" in found.problems[0].message) == ("missing", True)


def test_odd_names_are_names(put, read):
    names = ["-a.mp4", "a\nb.mp4", "q\"'.mp4", "x#?%.mp4", "dots...mp4", "😀.mp4", "n" * 251 + ".mp4"]
    for name in names:
        put(f"d/{name}")
    assert names_of(read("d")) == sorted(names)
    put("m.jsonl", "".join(json.dumps({"path": f"d/{name}"}) + "\n" for name in names))
    assert names_of(read("m.jsonl")) == [f"d/{name}" for name in names]


@pytest.mark.parametrize(
    "cell",
    ["hf://a/b/c.mp4", "zip://a.mp4::b.zip", "http://127.0.0.1:9/a.mp4", "nope://a.mp4", "s3://b/a.mp4::zip://x", "memory://no/a.mp4"],
)
def test_a_cell_of_another_store_is_one_problem_and_nothing_is_fetched(put, read, cell, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a cell opened the network"))
    put("a.mp4")
    put("m.csv", f"path\n{cell}\na.mp4\n")
    found = read("m.csv")
    assert names_of(found) == ["a.mp4"]
    assert [(problem.row, cell.partition("://")[0] in problem.message) for problem in found.problems] == [(1, True)]


def test_usual_names_of_columns_give_the_bounds(put, read):
    put("a.mp4")
    put("m.csv", "file;start;duration;caption\na.mp4;0:01;1.5;walk\na.mp4;;2;run\n")
    found = read("m.csv")
    assert [(spec.start_s, spec.end_s, dict(spec.extra)) for spec in found.specs] == [
        (1.0, 2.5, {"caption": "walk"}),
        (None, 2.0, {"caption": "run"}),
    ]


def test_an_infinite_bound_is_a_problem_and_no_bound_is_the_whole_file(put, read):
    put("a.mp4")
    put("m.jsonl", '{"path": "a.mp4", "start": Infinity}\n{"path": "a.mp4", "start": NaN, "score": Infinity, "": Infinity}\n')
    found = read("m.jsonl")
    assert [(spec.row, spec.start_s, spec.extra["score"]) for spec in found.specs] == [(2, None, None)]
    assert "column 'start' is infinite" in found.problems[0].message


def test_odd_files_of_a_folder_are_problems_and_each_real_file_is_one_clip(put, read, tmp_path):
    put("d/a.mp4"), put("d/sub/b.mp4")
    (tmp_path / "d/again.mp4").symlink_to("a.mp4")
    (tmp_path / "d/sub/up").symlink_to(tmp_path / "d")
    (tmp_path / "d/gone.mp4").symlink_to("nowhere")
    (tmp_path / "d/self.mp4").symlink_to("self.mp4")
    os.mkfifo(tmp_path / "d/pipe.mp4")
    found = read("d")
    assert names_of(found) == ["a.mp4", "sub/b.mp4"]
    assert [(os.path.basename(problem.manifest), problem.kind) for problem in found.problems] == [
        ("gone.mp4", "missing"),
        ("pipe.mp4", "broken"),
        ("self.mp4", "missing"),
    ]
    put("m.csv", "path\nd/pipe.mp4\nd/a.mp4\n")
    assert "is a pipe" in read("m.csv").problems[0].message
    with pytest.raises(ConfigError, match="is a pipe"):
        read("d/pipe.mp4")


def test_folders_of_pictures_are_sources_with_fps(put, read, tmp_path):
    put("d/seq/f1.png"), put("d/seq/f2.png"), put("d/clips/a.mp4"), put("d/clips/thumb.jpg"), put("d/deep/er/1.JPG")
    found = read("d", picture_fps=24.0)
    assert [(spec.relative_uri, spec.fps) for spec in found.specs] == [("clips/a.mp4", None), ("deep/er", 24.0), ("seq", 24.0)]
    assert [(spec.relative_uri, spec.fps) for spec in read("d/seq", picture_fps=24.0).specs] == [("seq", 24.0)]


def test_folders_of_pictures_without_fps_are_refused_or_left_out_with_a_word(put, read, caplog):
    put("d/seq/f1.png"), put("d/clips/a.mp4")
    with pytest.raises(ConfigError, match=r"1 folders of pictures and no video; say how many pictures make a second, such as --fps 30"):
        read("d/seq")
    assert names_of(read("d")) == ["clips/a.mp4"]
    assert "1 folders of pictures are left out; to cut them too, give --fps" in caplog.text


def test_a_row_may_name_a_folder_of_pictures(put, read):
    put("seq/f1.png"), put("empty/x.txt"), put("m.csv", "path,start,end\nseq,0,1\nempty,0,1\n")
    found = read("m.csv", picture_fps=10.0)
    assert [(spec.relative_uri, spec.fps, spec.end_s) for spec in found.specs] == [("seq", 10.0, 1.0)]
    assert "is a folder without pictures" in found.problems[0].message
    assert "how many of them make a second (--fps)" in read("m.csv").problems[0].message


@pytest.mark.parametrize(
    ("name", "said"),
    [("a.json", "write one object per line"), ("a.xlsx", "save the sheet as CSV"), ("a.png", "a single picture is no video")],
)
def test_files_that_are_no_video_for_certain_are_refused(put, read, name, said):
    put(name)
    with pytest.raises(ConfigError, match=said):
        read(name)
