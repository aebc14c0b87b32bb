"""Units of the measures, for messages."""

_PIXELS = (
    *("fb_cycle", "fb_all", "neigh_max", "disagree_median", "disagree_max", "sampson_med", "homog_med", "colour_drift"),
    "speed_px",
)
_UNITS = {
    **dict.fromkeys(_PIXELS, "px"),  # of the 256 x 256 raster
    **dict.fromkeys(("len", "mean_length"), "frames"),
    **dict.fromkeys(("num_tracks", "usable_tracks"), "tracks"),
}


def measure_unit(measure: str) -> str:
    """Unit of a measure of tracks or clips; "" for shares, likenesses and ratios."""
    return _UNITS.get(measure, "")
