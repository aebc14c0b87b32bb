import pytest

from pipeline.errors import DataError
from pipeline.manifest.finder import FileFinder, below, canonical

SUFFIXES = (".mp4", ".mkv", ".hevc")


@pytest.fixture(params=["disk", "store"])
def finder_of(request, put, memory, tmp_path):
    def make(*names):
        if request.param == "disk":
            for name in names:
                put(name)
            return FileFinder(str(tmp_path), SUFFIXES)
        buckets = [memory(name) for name in names]
        return FileFinder(canonical(buckets[0]), SUFFIXES)

    return make


def found_below(finder, uri):
    return None if uri is None else below(finder.root, uri)


def test_a_path_is_taken_as_it_is_written(finder_of):
    finder = finder_of("a/b.mp4", "a/c d.ü.mp4")
    assert found_below(finder, finder.at("a/b.mp4")) == "a/b.mp4"
    assert found_below(finder, finder.at("./a//c d.ü.mp4")) == "a/c d.ü.mp4"
    assert found_below(finder, finder.at(f"{finder.root}/a/b.mp4")) == "a/b.mp4"
    assert finder.at("b.mp4") is None
    assert finder.at("a/b\0.mp4") is None


def test_a_path_without_a_video_suffix_is_completed_in_its_own_folder(finder_of):
    finder = finder_of("a/x.1.mkv", "a/x.1.hevc", "b/y.mp4", "a/z.mp4.mkv")
    assert found_below(finder, finder.at("a/x.1")) == "a/x.1.mkv"
    assert finder.at("a/y") is None
    assert finder.at("a/z.mp4") is None


def test_a_name_is_found_at_any_depth_with_the_preferred_suffix(finder_of):
    finder = finder_of("videos/-_a1.MKV", "vstreams/clip/clip.hevc", "files/clip/clip.mp4", ".trash/-_a1.mp4")
    assert found_below(finder, finder.named("-_a1")) == "videos/-_a1.MKV"
    assert found_below(finder, finder.named("clip")) == "files/clip/clip.mp4"
    assert found_below(finder, finder.named("clip.hevc")) == "vstreams/clip/clip.hevc"
    assert finder.named("lip") is None
    assert finder.named("videos/clip.mp4") is None


def test_a_name_in_two_folders_is_refused(finder_of):
    finder = finder_of("hd/x.mp4", "sd/x.mp4")
    with pytest.raises(DataError, match=r"2 files below .* are called x \(hd/x.mp4, sd/x.mp4\); narrow it \(--video-root"):
        finder.named("x")
    assert found_below(finder, finder.named("sd/x.mp4")) == "sd/x.mp4"


def test_files_elsewhere_are_found_by_whole_path_or_url(put, memory, tmp_path):
    finder = FileFinder(str(tmp_path / "root"), SUFFIXES)
    path, bucket = put("elsewhere/a.mp4"), memory("b.mp4")
    assert finder.at(path) == path
    assert finder.at(f"{bucket}/b.mp4") == canonical(f"{bucket}/b.mp4")
    assert finder.at(f"{bucket}/c.mp4") is None


def test_an_unknown_protocol_is_the_rows_own_mistake(tmp_path):
    with pytest.raises(DataError, match="nosuch"):
        FileFinder(str(tmp_path), SUFFIXES).at("nosuch://x/a.mp4")


def test_names_are_relative_below_the_root_and_whole_elsewhere():
    assert below("/data", "/data/a/b.mp4") == "a/b.mp4"
    assert below("/data", "/database/b.mp4") == "database/b.mp4"
    assert below("s3://bucket/v", "s3://bucket/v/b.mp4") == "b.mp4"
    assert below("/data", "s3://bucket/v/b.mp4") == "bucket/v/b.mp4"
