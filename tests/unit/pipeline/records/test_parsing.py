"""Literal fields of configuration records: parsed, refused with their values listed, and checked in records made in code."""

from dataclasses import dataclass
from typing import Literal

import pytest

from pipeline.errors import ConfigError
from pipeline.records.parsing import check_choices, parse_record

Gate = Literal["audit", "residual"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    target: Literal["gt", "anchor"] = "gt"
    spread: Literal[1, 2] | None = None
    gates: tuple[Gate, ...] = ("audit",)

    def __post_init__(self) -> None:
        check_choices(self)


def test_the_values_of_a_literal_pass():
    table = {"target": "anchor", "spread": 2, "gates": ["residual", "audit"]}
    assert parse_record(Settings, table, "") == Settings(target="anchor", spread=2, gates=("residual", "audit"))
    assert parse_record(Settings, {"spread": None, "gates": []}, "") == Settings(gates=())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"target": "truth"}, "losses.target is 'truth', expected one of gt, anchor"),
        ({"target": None}, "losses.target is None, expected one of gt, anchor"),
        ({"spread": True}, "losses.spread is True, expected one of 1, 2"),  # true equals 1, and is another kind
        ({"gates": ["audit", "epipolar"]}, "losses.gates.1 is 'epipolar', expected one of audit, residual"),
        ({"gates": "audit"}, "losses.gates is 'audit', expected a list"),
    ],
)
def test_another_value_is_refused_with_those_that_there_are(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_record(Settings, table, "losses")


def test_a_record_made_in_code_is_checked_alike():
    with pytest.raises(ConfigError, match=r"^gates\.0 is 'no', expected one of audit, residual$"):
        Settings(gates=("no",))
