import numpy as np
import pytest

from networks.inputs import fitted_size
from pipeline.errors import ConfigError
from pipeline.stream import MixtureConfig, StreamConfig
from trainer.data.augmentation import clip_draws, step_clips, step_shape
from trainer.data.config import DataConfig, ShapeConfig


def test_shapes_stay_within_their_bounds_and_use_them():
    config = ShapeConfig()
    shapes = [step_shape(config, 3, step, patch=14) for step in range(600)]
    frames = {shape.frames for shape in shapes}
    assert (min(frames), max(frames)) == (2, 24)
    pixels = np.array([shape.height * shape.width for shape in shapes])
    aspects = np.array([shape.width / shape.height for shape in shapes])
    assert all(shape.height % 14 == shape.width % 14 == 0 for shape in shapes)
    assert pixels.max() <= 255_000
    assert pixels.min() > 92_000  # rounding to patches costs some
    assert 0.47 < aspects.min() < 0.55
    assert 1.8 < aspects.max() < 2.1
    assert abs(np.log(aspects).mean()) < 0.05  # as often wide as high


@pytest.mark.parametrize("patch", [7, 14, 16])
def test_sides_are_multiples_of_any_patch(patch):
    shapes = [step_shape(ShapeConfig(), 3, step, patch=patch) for step in range(200)]
    assert all(shape.height % patch == shape.width % patch == 0 and shape.height * shape.width <= 255_000 for shape in shapes)


def test_the_shape_is_a_function_of_seed_and_step():
    config = ShapeConfig()
    assert step_shape(config, 1, 7, patch=14) == step_shape(config, 1, 7, patch=14)
    assert len({step_shape(config, 1, step, patch=14) for step in range(10)}) > 5
    assert [step_shape(config, 1, step, patch=14) for step in range(5)] != [step_shape(config, 2, step, patch=14) for step in range(5)]


def test_one_size_can_be_asked_for():
    config = ShapeConfig(frames=(4, 4), pixels=(224 * 224, 224 * 224), aspect=(1, 1))
    assert {(s.frames, s.height, s.width) for s in (step_shape(config, 0, step, patch=14) for step in range(5))} == {(4, 224, 224)}


@pytest.mark.parametrize(
    ("pixels", "aspect", "most", "expected"),
    [(14 * 14 * 6, 1.5, 1176, (28, 42)), (1300, 1.5, 1300, (28, 42)), (196, 9.0, 196, (14, 14)), (196 * 11, 1.2, 196 * 11, (42, 42))],
)
def test_sizes_by_hand(pixels, aspect, most, expected):
    assert fitted_size(aspect, pixels, patch=14, most_pixels=most) == expected


def budgeted(max_images: int | None, **changes) -> DataConfig:
    sides = {
        "labelled": MixtureConfig(parts=((StreamConfig(root="/studio"), 1.0),)),
        "pseudo": MixtureConfig(parts=((StreamConfig(root="/wild", labels="x"), 1.0),)),
    }
    return DataConfig(**{**sides, "labelled_clips": 3, "pseudo_clips": 1, "max_images": max_images, **changes})


@pytest.mark.parametrize("changes", [{}, {"pseudo": None}, {"labelled": None}])
def test_every_step_fills_its_image_budget_and_none_exceeds_it(changes):
    config = budgeted(24, **changes)
    drawn = [(step_shape(config.shape, config.seed, step, patch=14).frames, step_clips(config, step)) for step in range(500)]
    images = [frames * (clips.labelled + clips.pseudo) for frames, clips in drawn]
    assert (min(images), max(images)) == (13, 24)  # of 13 frames one clip fits
    assert {frames for frames, _ in drawn} == set(range(2, 25))
    assert all(clips.pseudo == 0 for _, clips in drawn) == (config.pseudo is None)
    assert all(clips.labelled == 0 for _, clips in drawn) == (config.labelled is None)


def test_both_sides_come_in_their_ratio():
    config = budgeted(24)
    drawn = [step_clips(config, step) for step in range(2000)]
    alone = [clips for clips in drawn if clips.labelled + clips.pseudo == 1]
    assert sum(clips.pseudo for clips in alone) / len(alone) == pytest.approx(0.25, abs=0.05)
    assert all(clips.labelled and clips.pseudo for clips in drawn if clips.labelled + clips.pseudo > 1)
    largest = [clips for clips in drawn if clips.labelled + clips.pseudo == 12]  # of 2 frames
    assert {(clips.labelled, clips.pseudo) for clips in largest} == {(9, 3)}


def test_without_a_budget_the_numbers_of_clips_are_those_of_the_configuration():
    assert {(step_clips(budgeted(None), step).labelled, step_clips(budgeted(None), step).pseudo) for step in range(50)} == {(3, 1)}
    with pytest.raises(ConfigError, match="max_images is 23, and shape.frames allows 24"):
        budgeted(23)


def test_clips_draw_apart():
    places = [(step, side, place) for step in range(3) for side in range(2) for place in range(3)]
    assert len({clip_draws(0, *place).random() for place in places}) == len(places)


def test_bounds_that_are_none_are_refused():
    with pytest.raises(ConfigError, match="frames is \\(5, 2\\)"):
        ShapeConfig(frames=(5, 2))
    with pytest.raises(ConfigError, match="pixels"):
        ShapeConfig(pixels=(0, 100))
