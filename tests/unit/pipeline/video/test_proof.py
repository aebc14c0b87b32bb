"""A copied clip is proven by its packets: a missing one, a wrong time and a wrong beginning are noticed."""

import pytest

from pipeline.errors import DataError
from pipeline.video.copy import copy_spans
from pipeline.video.groups import Span
from pipeline.video.probe import probe_video
from pipeline.video.proof import prove_packets, prove_with_lead_in


@pytest.mark.parametrize("form", ["h264", "h264-b-frames"])
def test_a_clip_of_whole_groups_is_proven_and_other_plans_are_not(form, make_video):
    path = make_video(num_frames=48, form=form)
    probe = probe_video(str(path), path.name)
    assert probe.order.whole(Span(24, 24))
    ((_, data),) = copy_spans(str(path), path.name, probe, [Span(24, 24)])
    times = probe.times_s[24:48].tolist()
    prove_packets(data, "clip", times)
    with pytest.raises(DataError, match="24 packets for 23 frames"):
        prove_packets(data, "clip", times[:-1])
    with pytest.raises(DataError, match="frame 7 lies at"):
        prove_packets(data, "clip", [*times[:7], times[7] + 0.02, *times[8:]])


def test_a_clip_with_a_lead_in_is_not_proven_by_packets_and_its_lead_in_is_decoded(make_video):
    path = make_video(num_frames=48)
    probe = probe_video(str(path), path.name)
    ((_, data),) = copy_spans(str(path), path.name, probe, [Span(18, 6)])
    times = probe.times_s[18:24].tolist()
    with pytest.raises(DataError, match="12 packets for 6 frames"):
        prove_packets(data, "clip", times)
    seen = []
    prove_with_lead_in(data, "clip", times, lambda place, frame: seen.append((place, frame.width)))
    assert seen == [(place, 160) for place in range(12)]
    at = data.index(b"mdat") + 4
    hurt = data[: at + 800] + bytes(400) + data[at + 1200 :]  # within the key frame that is not shown
    with pytest.raises(DataError, match="damaged|decode"):
        prove_with_lead_in(hurt, "clip", times, lambda place, frame: None)
