import pytest

from pipeline.errors import ConfigError
from pipeline.manifest import ManifestOptions, kind_of
from pipeline.manifest.listing import expand

NAMES = ("b.mp4", "A.MKV", "sub dir/c.d.webm", "sub dir/ünï.ts")
OTHERS = ("notes.txt", ".hidden.mp4", ".cache/x.mp4", "sub dir/.DS_Store", "b.mp4.part")


def expanded(uri, **options):
    return expand(str(uri), ManifestOptions(**options))


def names_of(found):
    return [video.relative_uri for video in found.videos]


def test_a_folder_holds_its_visible_videos_at_any_depth(put, tmp_path):
    for name in NAMES + OTHERS:
        put(name)
    assert names_of(expanded(tmp_path)) == ["A.MKV", "b.mp4", "sub dir/c.d.webm", "sub dir/ünï.ts"]
    assert names_of(expanded(f"{tmp_path}/")) == names_of(expanded(f"{tmp_path}/sub dir/.."))


def test_a_store_is_listed_as_a_disk_is(memory, put, tmp_path):
    for name in NAMES + OTHERS:
        put(name)
        bucket = memory(name)
    assert names_of(expanded(bucket)) == names_of(expanded(tmp_path))
    assert names_of(expanded(f"{bucket}/**/*.ts")) == ["sub dir/ünï.ts"]
    assert expanded(f"{bucket}/b.mp4").videos[0].relative_uri == "b.mp4"


def test_other_suffixes_may_be_asked_for(put, tmp_path):
    put("a.mp4")
    put("b.part")
    assert names_of(expanded(tmp_path, extensions=(".part",))) == ["b.part"]


def test_names_of_a_glob_begin_where_it_varies(put, tmp_path):
    for name in NAMES + OTHERS:
        put(f"data/{name}")
    assert names_of(expanded(f"{tmp_path}/data/**/*.*")) == ["A.MKV", "b.mp4", "sub dir/c.d.webm", "sub dir/ünï.ts"]
    assert names_of(expanded(f"{tmp_path}/*/b.mp4")) == ["data/b.mp4"]
    assert names_of(expanded(f"{tmp_path}/data/*.txt")) == ["notes.txt"]  # a spelled-out suffix is meant


def test_a_glob_may_find_tables(put, tmp_path):
    put("part_1.csv"), put("part_2.csv"), put("part_2.mp4")
    found = expanded(f"{tmp_path}/part_*")
    assert [uri.rpartition("/")[2] for uri in found.tables] == ["part_1.csv", "part_2.csv"]
    assert names_of(found) == ["part_2.mp4"]


def test_a_named_file_is_a_video_whatever_its_suffix(put):
    assert names_of(expanded(put("a.bin"))) == ["a.bin"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("", "folder"), ("a.mp4", "video"), ("clip[1]*.mp4", "video"), ("m.CSV", "table"), ("m.jsonl", "table"), ("*.avi", "glob")],
)
def test_an_input_is_what_is_there(put, tmp_path, name, kind):
    for file in ("a.mp4", "clip[1]*.mp4", "m.CSV", "m.jsonl"):
        put(file)
    assert kind_of(str(tmp_path / name)) == kind


def test_nothing_there_is_a_mistake_of_the_user(put, tmp_path):
    put("x/notes.txt"), put("x/more.txt"), put("x/readme")
    with pytest.raises(ConfigError, match="nowhere: there is no such file or folder; check the path"):
        expanded(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"no video there \(found 2 with \.txt, 1 with no suffix; looked for \.mp4"):
        expanded(tmp_path / "x")
    with pytest.raises(ConfigError, match=r"no video there \(found nothing"):
        expanded(f"{tmp_path}/x/*.mp4")


def test_a_tar_is_sent_to_the_other_preset(put, tmp_path):
    path = put("000000.tar")
    for given in (path, f"{tmp_path}/*.tar"):
        with pytest.raises(ConfigError, match="--preset webdataset"):
            expanded(given)
