import pytest

from pipeline.errors import ConfigError
from pipeline.stream import MixtureConfig, StreamConfig
from trainer.data import DataConfig, parse_data_config


def mixture(**fields) -> MixtureConfig:
    return MixtureConfig(parts=((StreamConfig(root="/a", **fields), 1.0),))


def test_tables_become_the_configuration():
    config = parse_data_config(
        {
            "labelled": [{"root": "/studio", "weight": 3, "size": [48, 64]}, {"root": "/kubric", "split": None}],
            "pseudo": [{"root": "/wild", "audit": "x", "on_error": "raise"}, {"root": "/both", "labels": ["y", "x"], "weight": 2}],
            "shape": {"frames": [2, 8]},
            "augment": {"mirror": 0.0},
            "seed": 4,
        }
    )
    (studio, weight), (kubric, _) = config.labelled.parts
    assert (studio.root, weight, studio.size, studio.split, studio.on_error, studio.num_frames) == (
        "/studio",
        3.0,
        (48, 64),
        "train",
        "skip",
        48,
    )
    assert kubric.split is None
    assert config.pseudo.parts[0][0].on_error == "raise"
    assert (config.pseudo.parts[1][0].labels, config.pseudo.parts[1][1]) == (("x", "y"), 2.0)
    assert config.shape.frames == (2, 8)
    assert config.shape.aspect == (0.5, 2.0)
    assert config.augment.mirror == 0
    assert (config.seed, config.labelled.seed) == (4, 4)


def test_parts_from_before_there_was_a_fit_stretch_to_their_size(caplog):
    tables = [{"root": "/a", "size": [48, 64]}, {"root": "/b"}, {"root": "/c", "size": [48, 64], "fit": "crop"}]
    parts = [part for part, _ in parse_data_config({"labelled": tables}).labelled.parts]
    assert [(part.size, part.fit) for part in parts] == [((48, 64), "stretch"), (None, "crop"), ((48, 64), "crop")]
    (said,) = caplog.messages
    assert said.startswith("data.labelled[0]: a size without a fit stretches clips")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"labeled": []}, "data has no labeled; it has labelled"),
        ({"labelled": [{"rot": "/a"}]}, r"data.labelled\[0\] has no rot; it has root, name"),
        ({"labelled": [{"weight": 2}]}, r"data.labelled\[0\] lacks root"),
        ({"labelled": [{"root": "/a", "epochs": 2}]}, "sets epochs"),
        ({"labelled": [{"root": "/a", "evaluation_truth": True}]}, "sets evaluation_truth"),
        ({"labelled": [{"root": "/a", "weight": "much"}]}, r"data.labelled\[0\].weight is 'much'"),
        ({"labelled": ["/a"]}, r"data.labelled\[0\] is '/a', expected a table with at least a root"),
        ({"labelled": [{"root": "/a", "size": [48, "64"]}]}, r"data.labelled\[0\].size.1 is '64', expected a whole number"),
        ({"labelled": [{"root": "/a", "fit": "squash"}]}, r"data.labelled\[0\].fit is 'squash', expected one of crop, pad, stretch"),
        ({"pseudo": [{"root": "/a", "labels": ["x", 3]}]}, r"data.pseudo\[0\].labels is \['x', 3\], expected text or a list"),
        ({"labelled": [{"root": "/a", "num_frames": 0}]}, r"data.labelled\[0\]: StreamConfig: num_frames is 0"),
        ([], r"data is \[\], expected a table of labelled"),
        ({"labelled": "/a"}, "data.labelled is '/a', expected a list"),
        ({"labelled": [{"root": "/a"}], "shape": {"frames": ["x", 3]}}, "data.shape.frames.0 is 'x', expected a whole number"),
        ({"labelled": [{"root": "/a"}], "augment": {"mirror": 3}}, "data.augment: mirror is 3"),
        ({}, "data: neither labelled nor pseudo"),
        ({"labelled": [], "seed": "x"}, "data.seed is 'x', expected a whole number"),
    ],
)
def test_tables_that_do_not_do_are_refused(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_data_config(table)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labelled": mixture(labels="x")}, "labelled part a names labels"),
        ({"labelled": mixture(arrays=False)}, "labelled part a names labels"),
        ({"pseudo": mixture()}, "pseudo part a names no labels"),
        ({"labelled": mixture(size=(48, 64), fit="pad")}, "part a pads its clips"),
        ({"pseudo": mixture(labels="x", size=(48, 64), fit="pad")}, "part a pads its clips"),
        ({"labelled": mixture(), "num_tracks": 0}, "num_tracks 0"),
        ({"labelled": mixture(), "without_normals": ("b",)}, "'b', which is no labelled part"),
    ],
)
def test_mixtures_on_the_wrong_side_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        DataConfig(**fields)
