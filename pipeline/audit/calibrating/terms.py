"""Which measures a calibration is made of, chosen by cross-validation over clips of the suite's fit half."""

from collections.abc import Mapping
from dataclasses import dataclass, field


def _default() -> dict[str, str]:
    return {
        **dict.fromkeys(("realign_mean", "realign_max", "realign_long_mean", "realign_long_max"), "log"),
        **dict.fromkeys(("flow_drift_mean", "flow_drift_max"), "log"),
        **dict.fromkeys(("ncc_min", "ncc_mean", "ncc_step_min", "vis_conf"), "one-minus"),
        **dict.fromkeys(("neigh_max", "homog_med", "sampson_med", "accel_max", "jump"), "log"),
        **dict.fromkeys(("border_min", "len"), "log"),
        **dict.fromkeys(("static_score", "texture", "cover"), "identity"),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class TermPlan:
    """The form of the model, before it is fitted."""

    measures: Mapping[str, str] = field(default_factory=_default)  # name -> transform
    num_knots: int = 3  # of each term
    penalty: float = 10.0
