import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.labels import LabelRow


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"status": "done"}, "status is 'done', expected one of ok, screened, failed, quarantined"),
        ({"status": "ok"}, "status is ok without labels"),
        ({"status": "failed"}, "no error says why"),
        ({"status": "quarantined", "error": ""}, "no error says why"),
    ],
)
def test_a_row_whose_status_does_not_fit_is_refused(fields, message):
    with pytest.raises(DataError, match=f"clip a: .*{message}"):
        LabelRow(key="a", **fields)


def test_labels_need_the_facts_of_their_clip(make_labels):
    with pytest.raises(DataError, match="clip a: labels without clip_sha256, width"):
        LabelRow(key="a", status="ok", labels=make_labels(), num_frames=6, height=4)
    with pytest.raises(DataError, match="clip a: status is failed with labels"):
        LabelRow(key="a", status="failed", error="x", labels=make_labels())


def test_labels_of_another_length_than_the_clip_are_refused(make_labels):
    with pytest.raises(DataError, match="clip a: labels cover 6 frames, the clip has 7"):
        LabelRow(key="a", status="ok", labels=make_labels(), clip_sha256="0", num_frames=7, width=4, height=4)


@pytest.mark.parametrize("t", [-1, 6, 2.5])
def test_a_query_between_or_outside_the_frames_is_refused(make_labels, t):
    labels = make_labels()
    labels.queries[3, 0] = np.float32(t)
    with pytest.raises(DataError, match="clip a: 1 queries lie between or outside the clip's 6 frames"):
        LabelRow(key="a", status="ok", labels=labels, clip_sha256="0", num_frames=6, width=4, height=4)
