"""Rows of validation on disk, and which checkpoint is best by them."""

from pathlib import Path

from trainer.loop import read_validation
from trainer.loop.checkpoints import BestCheckpoint
from trainer.loop.validation_rows import ValidationRow, better_checkpoint, publish_rows, remove_later_rows


def row(step: int, part: str = "studio", **measures: float) -> ValidationRow:
    return ValidationRow(
        step=step, part=part, averaged=True, num_clips=2, num_left_out=0, num_failed=0, measures=measures,
        clips_where_defined=dict.fromkeys(measures, 2),
    )  # fmt: skip


def test_errors_are_best_low_and_accuracies_high() -> None:
    before = BestCheckpoint(step=1, measure="studio/ate", value=0.5, averaged=True)
    found = better_checkpoint([row(2, "walks", ate=0.1), row(2, ate=0.4)], "studio/ate", before)
    assert found == BestCheckpoint(step=2, measure="studio/ate", value=0.4, averaged=True)
    assert better_checkpoint([row(2, ate=0.5)], "studio/ate", before) is None  # the earlier of two alike
    assert better_checkpoint([row(2, auc_30=0.3)], "studio/ate", before) is None  # not defined
    assert better_checkpoint([row(2, auc_30=0.3)], "studio/auc_30", None) is not None
    higher = BestCheckpoint(step=1, measure="studio/auc_30", value=0.2, averaged=True)
    assert better_checkpoint([row(2, auc_30=0.3)], "studio/auc_30", higher) is not None
    assert better_checkpoint([row(2, auc_30=0.1)], "studio/auc_30", higher) is None


def test_rows_of_steps_that_are_done_again_are_not_read_twice(tmp_path: Path) -> None:
    out = str(tmp_path)
    for step in (2, 4):
        publish_rows(out, [row(step, ate=0.25 / step), row(step, "walks")])
    assert [(found["step"], found["part"]) for found in read_validation(out)] == [(2, "studio"), (2, "walks"), (4, "studio"), (4, "walks")]
    remove_later_rows(out, 3)
    assert [found["measures"] for found in read_validation(out)] == [{"ate": 0.125}, {}]
