import pytest

from pipeline.manifest.cells import Cells
from pipeline.manifest.presets import koala_names, openvid_video, sekai_names, sekai_video, youtube_id

SEKAI_ID = "_FP8j6WfkTY"
SEKAI_CLIP = f"{SEKAI_ID}_0085528_0087328"


def bounds_of(spec):
    return spec.start_s, spec.end_s, spec.start_frame, spec.end_frame


@pytest.mark.parametrize(
    ("name", "video", "start", "end"),
    [
        (f"{SEKAI_CLIP}.mp4", SEKAI_ID, 85528, 87328),
        ("-a_1_2_3-4_x_0000000_0000900.mp4", "-a_1_2_3-4_x", 0, 900),
        ("a_1_2_0000005_0000006", "a_1_2", 5, 6),
    ],
)
def test_sekai_names_are_split_at_the_last_two_underscores(name, video, start, end):
    names = sekai_names(Cells({"v": name}, {"id": "v"}))
    assert (names.video_id, names.start_frame, names.end_frame) == (video, start, end)
    assert names.clip_id == name.removesuffix(".mp4")


def test_a_sekai_name_of_another_form_is_a_clip_of_its_own():
    names = sekai_names(Cells({"v": "walk.mp4"}, {"id": "v"}))
    assert (names.video_id, names.clip_id) == (None, "walk")
    assert sekai_video("walk") == "walk"


@pytest.mark.parametrize(
    ("url", "video"),
    [
        ("https://www.youtube.com/watch?v=-_aBc123xyz&t=4", "-_aBc123xyz"),
        ("https://youtu.be/-_aBc123xyz?si=1", "-_aBc123xyz"),
        ("https://m.youtube.com/shorts/-_aBc123xyz", "-_aBc123xyz"),
        ("https://example.org/watch?v=x", None),
        ("http://[", None),
        (None, None),
    ],
)
def test_a_youtube_address_names_its_video(url, video):
    assert youtube_id(url) == video


def test_a_koala_id_is_its_sources_and_a_number():
    columns = {"id": "i", "url": "u"}
    names = koala_names(Cells({"i": "a_b_12", "u": "https://www.youtube.com/watch?v=a_b"}, columns))
    assert (names.video_id, names.clip_id) == ("a_b", "a_b_12")
    assert koala_names(Cells({"i": "a_b_12_3to45"}, columns)).video_id == "a_b"
    whole = koala_names(Cells({"i": "a_b", "u": "https://youtu.be/a_b"}, columns))
    assert (whole.video_id, whole.clip_id) == ("a_b", None)


def test_parts_of_an_openvid_source_share_it():
    assert openvid_video("-_a_1_25_0to139") == "-_a_1"
    assert openvid_video("celebv_12") == "celebv_12"


def test_sekai_takes_the_cut_clip_where_there_is_one_and_the_source_elsewhere(put, read):
    put(f"files/{SEKAI_ID}/{SEKAI_CLIP}.mp4"), put(f"vstreams/{SEKAI_ID}/{SEKAI_CLIP}.hevc")
    put(f"videos/{SEKAI_ID}.mkv"), put(f"astreams/{SEKAI_ID}.flac")
    put(
        "hq.csv",
        f'\ufeffvideoFile,cameraFile,location,caption\n{SEKAI_CLIP}.mp4,,Rome,"one,\ntwo"\n{SEKAI_ID}_0090000_0090900.mp4,,,\n'
        f"{SEKAI_CLIP}.mp4,,,\nabsent12345_0000000_0000900.mp4,,,\n",
    )
    found = read("hq.csv", preset="sekai", license="research only")
    whole, span = found.specs
    assert whole.relative_uri == f"files/{SEKAI_ID}/{SEKAI_CLIP}.mp4"
    assert bounds_of(whole) == (None, None, None, None)
    assert whole.extra == {"videoFile": f"{SEKAI_CLIP}.mp4", "location": "Rome", "caption": "one,\ntwo"}
    assert span.relative_uri == f"videos/{SEKAI_ID}.mkv"
    assert bounds_of(span) == (3000.0, 3030.0, None, None)
    assert {spec.source_id for spec in found.specs} == {SEKAI_ID}
    assert {spec.license for spec in found.specs} == {"research only"}
    assert [(problem.row, problem.kind) for problem in found.problems] == [(3, "duplicate"), (4, "missing")]
    assert "absent12345_0000000_0000900 nor absent12345 below" in str(found.problems[1])


@pytest.mark.parametrize("name", [f"{SEKAI_CLIP}.mp4", f"a/{SEKAI_CLIP}.MP4"])
def test_sekai_clips_may_lie_flat_or_in_folders(put, read, name):
    put(name)
    put("m.csv", f"videoFile\n{SEKAI_CLIP}.mp4\n")
    (spec,) = read("m.csv", preset="sekai").specs
    assert (spec.relative_uri, spec.start_s) == (name, None)


def test_sekai_cameras_are_found_below_their_root_and_missing_ones_cost_no_clip(put, read, tmp_path):
    put(f"v/{SEKAI_CLIP}.mp4"), put("v/b_0000000_0000900.mp4"), put(f"cameras/part/{SEKAI_CLIP}.npz")
    put("m.csv", f"videoFile,cameraFile\n{SEKAI_CLIP}.mp4,{SEKAI_CLIP}.npz\nb_0000000_0000900.mp4,b_0000000_0000900.npz\n")
    found = read("m.csv", preset="sekai", video_root=str(tmp_path / "v"), camera_root=str(tmp_path / "cameras"))
    assert [spec.camera_uri for spec in found.specs] == [str(tmp_path / f"cameras/part/{SEKAI_CLIP}.npz"), None]
    assert found.missing_cameras == 1
    assert found.problems == ()


def test_sekai_clips_in_a_folder_share_their_source(put, read):
    put(f"{SEKAI_CLIP}.mp4"), put(f"{SEKAI_ID}_0090000_0090900.mp4"), put("other.mp4")
    assert [spec.source_id for spec in read("", preset="sekai").specs] == [SEKAI_ID, SEKAI_ID, "other"]


def test_panda_rows_are_one_clip_per_span_each_with_its_own_caption(put, read):
    put("videos/-_panda0001.webm")
    put(
        "m.csv",
        "videoID,url,timestamp,caption,matching_score\n"
        "-_panda0001,https://www.youtube.com/watch?v=-_panda0001,"
        "\"[['0:00:16.300', '0:00:32.566'], ['0:01:40.000', '0:01:30.000'], ['1:00:00.000', '1:00:02.500']]\","
        '"[\'A dog, running.\', \'B\', ""it\'s C""]","[0.5, 0.25, nan]"\n'.replace("nan", "None"),
    )
    found = read("m.csv", preset="panda70m")
    assert [bounds_of(spec) for spec in found.specs] == [(16.3, 32.566, None, None), (3600.0, 3602.5, None, None)]
    assert [spec.extra["caption"] for spec in found.specs] == ["A dog, running.", "it's C"]
    assert [spec.extra["matching_score"] for spec in found.specs] == [0.5, None]
    assert found.specs[0].extra["url"] == "https://www.youtube.com/watch?v=-_panda0001"
    assert "timestamp" not in found.specs[0].extra
    assert {(spec.relative_uri, spec.source_id, spec.row) for spec in found.specs} == {("videos/-_panda0001.webm", "-_panda0001", 1)}
    assert [str(problem).partition(": ")[2] for problem in found.problems] == [
        "row 1: clip 2 of 3 in 'timestamp': the clip ends at 90 s, not after its start at 100; correct or drop the row"
    ]


@pytest.mark.parametrize(
    ("timestamp", "caption", "message"),
    [
        ("[[0, 1], [2, 3]]", "['only one']", "column 'caption' holds 1 entries for 2 clips"),
        ("[[0, 1]]", "plain text", "column 'caption': 'plain text' is not a list"),
        ("[[0, 1]", "['a']", "is not a list in the spelling of JSON or Python"),
        ("", "['a']", "column 'timestamp' is empty"),
        ("[]", "['a']", "list of clips is empty"),
    ],
)
def test_broken_panda_rows_say_what_is_wrong_and_the_others_go_on(put, read, timestamp, caption, message):
    put("a.mp4")
    put("m.csv", f'videoID,timestamp,caption\na,"{timestamp}","{caption}"\na,"[[5, 6]]",\n')
    found = read("m.csv", preset="panda70m")
    assert [spec.row for spec in found.specs] == [2]
    assert (found.problems[0].row, found.problems[0].kind) == (1, "broken")
    assert message in found.problems[0].message


def test_koala_rows_are_one_span_of_their_source(put, read):
    put("-_koala0001.mp4"), put("-_koala0001_7.mp4")
    put(
        "Koala_36M_1.csv",
        "videoID,url,timestamp,caption,clarity\n"
        "-_koala0001_3,https://www.youtube.com/watch?v=-_koala0001,\"['0:00:12.000', '0:00:20.500']\",text,0.9\n"
        "-_koala0001_7,https://www.youtube.com/watch?v=-_koala0001,\"['0:01:12.000', '0:01:20.500']\",text,0.9\n",
    )
    span, whole = read("Koala_36M_1.csv", preset="koala36m").specs
    assert (span.relative_uri, *bounds_of(span)) == ("-_koala0001.mp4", 12.0, 20.5, None, None)
    assert (whole.relative_uri, *bounds_of(whole)) == ("-_koala0001_7.mp4", None, None, None, None)
    assert span.source_id == whole.source_id == "-_koala0001"
    assert span.extra["clarity"] == "0.9"


def test_openvid_rows_are_whole_files(put, read):
    put("part0/a b_25_0to139.mp4"), put("part1/c.mp4")
    put("m.csv", "video,caption,aesthetic score,frame,fps\na b_25_0to139.mp4,x,5.1,139,24.0\nc.mp4,,,,\n")
    found = read("m.csv", preset="openvid").specs
    assert [(spec.relative_uri, spec.source_id) for spec in found] == [("part0/a b_25_0to139.mp4", "a b"), ("part1/c.mp4", "c")]
    assert found[0].extra == {"caption": "x", "aesthetic score": "5.1", "frame": "139", "fps": "24.0"}
    assert bounds_of(found[0]) == (None, None, None, None)


def test_webvid_rows_are_files_in_their_pages_folder(put, read):
    put("000_050/1234.mp4")
    put("m.csv", "videoid,contentUrl,duration,page_dir,name\n1234,https://example.org/1.mp4,PT00H00M18S,000_050,text\n")
    (spec,) = read("m.csv", preset="webvid").specs
    assert (spec.relative_uri, spec.source_id) == ("000_050/1234.mp4", "1234")
