import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.synthetic.worlds.materials import STUDIO_LOOKS, WILD_LOOKS, Look, MaterialBook, Paint

PAINTS = {look.paint.__name__: look.paint for looks in (STUDIO_LOOKS, WILD_LOOKS) for some in looks.values() for look in some}


@pytest.mark.parametrize("name", sorted(PAINTS))
def test_every_pattern_repeats_without_a_seam_and_is_not_blank(name: str) -> None:
    pattern = PAINTS[name](np.random.default_rng(3), 96)
    assert pattern.shape == (96, 96, 3)
    assert pattern.min() >= -0.01
    assert pattern.max() <= 1.3
    assert pattern.std() > 0.01
    if name in (
        "checks",
        "ribbons",
        "tiles",
        "bricks",
        "slabs",
        "boards",
        "timber",
        "rotten",
        "rubber",
        "asphalt",
        "facade",
        "ruin",
        "lawn",
    ):
        return  # drawn in rows or columns that end at the border: a step there is part of the pattern
    for axis in (0, 1):
        steps = np.abs(np.diff(pattern, axis=axis)).mean(axis=(1 - axis, 2))
        seam = np.abs(np.take(pattern, 0, axis=axis) - np.take(pattern, -1, axis=axis)).mean()
        assert seam < 1.5 * np.quantile(steps, 0.98), axis


def test_equal_books_paint_equal_textures_whatever_else_was_picked() -> None:
    first, second = MaterialBook(STUDIO_LOOKS, seed=(4, 2)), MaterialBook(STUDIO_LOOKS, seed=(4, 2))
    second.pick("cloth")
    names = [first.pick("wall"), first.pick("wall", 1)]
    assert [second.pick("wall"), second.pick("wall", 1)] == names == ["wall-0", "wall-1"]
    one, other = first.textures(32, extra={}), second.textures(32, extra={})
    assert set(other) == {"cloth-0", "wall-0", "wall-1"}
    np.testing.assert_array_equal(one["wall-0"], other["wall-0"])
    assert (one["wall-0"] != one["wall-1"]).any()
    assert one["wall-0"].dtype == np.uint8
    assert (MaterialBook(STUDIO_LOOKS, seed=(4, 3)).pick("wall"), 1) == ("wall-0", 1)


def test_extra_paints_are_painted_under_their_names() -> None:
    grey: Paint = lambda rng, size: np.full((size, size, 3), 0.5, np.float32)  # noqa: E731 - a paint of one expression
    book = MaterialBook({"wall": (Look(paint=grey, tile_m=1.5),)}, seed=(0,))
    assert book.tile_m(book.pick("wall")) == 1.5
    np.testing.assert_array_equal(book.textures(4, extra={"clouds": grey})["clouds"], 128)
    assert book.names == ("wall-0",)


def test_a_role_that_the_domain_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match="no material for 'sea', this domain has"):
        MaterialBook(STUDIO_LOOKS, seed=(0,)).pick("sea")
