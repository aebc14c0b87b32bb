"""The refiner of chains and what it learns from: places by hand, the virtual camera, the losses, a training that was killed."""

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch

from labelers import make_labeler
from networks.chain_refiner import CLUES, Chains
from networks.weights import TrainingSource
from tests.textured_plane import moving_frames


@pytest.fixture
def clips(_beside_the_benchmarks) -> ModuleType:
    import refiner_clips

    return refiner_clips


@pytest.fixture
def training(_beside_the_benchmarks) -> ModuleType:
    import refiner_training

    return refiner_training


def given_of(training, num_frames=4, points=6):
    draw = torch.Generator().manual_seed(0)
    frames = torch.from_numpy(moving_frames((1.0, 0.5), num_frames=num_frames, size=(48, 64))).permute(0, 3, 1, 2).float() / 255
    queries = torch.stack([torch.arange(points) % num_frames, torch.arange(points) * 9 + 5, torch.arange(points) * 6 + 6], dim=1).float()
    chain = queries[None, :, 1:] + torch.rand(num_frames, points, 2, generator=draw)
    clues = torch.rand(num_frames, points, CLUES, generator=draw)
    return training.RefinerInput(frames=frames, chains=Chains(queries=queries, chain_px=chain, clues=clues))


def target_like(training, given, **changes):
    ones = torch.ones(given.chains.chain_px.shape[:2])
    values = {"tracks_px": given.chains.chain_px, "visible": ones, "position_weight": ones, "visibility_weight": ones}
    return training.Target(**(values | changes))


def test_untrained_it_leaves_every_point_on_its_chain_and_the_query_where_it_is(training) -> None:
    given, model = given_of(training), training.new_model(3)
    assert sum(part.numel() for part in model.parameters()) <= 700_000
    found = training.find(model, given)
    at = (given.chains.queries[:, 0].long().numpy(), np.arange(6))
    np.testing.assert_array_equal(found.tracks_px[at], given.chains.queries[:, 1:].numpy())
    np.testing.assert_array_equal(found.score[at], 1)
    elsewhere = np.ones((4, 6), bool)
    elsewhere[at] = False
    np.testing.assert_array_equal(found.tracks_px[elsewhere], given.chains.chain_px.numpy()[elsewhere])
    assert (found.score[elsewhere] < 1).all()
    labels = found.labels(given.chains.queries.numpy(), 0.9)
    np.testing.assert_array_equal(labels.visibility, ~elsewhere)


def test_the_virtual_camera_moves_pictures_and_tracks_alike(clips) -> None:
    draw = np.random.default_rng(5)
    spots = np.array([[30.0, 40.0], [60.0, 50.0], [75.0, 30.0]])
    y, x = np.mgrid[:96, :128]
    frame = sum(np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / 8) for sx, sy in spots)
    frames = np.repeat((200 * frame).round().astype(np.uint8)[None, ..., None], 5, axis=0).repeat(3, axis=3)
    path = clips.camera_path(5, (96, 128), draw)
    seen = clips.filmed(frames, path, 0.0)
    tracks = np.repeat(spots[None].astype(np.float32), 5, axis=0)
    everywhere = np.ones((5, 3), bool)
    told = clips.Tracks(
        tracks_px=tracks, visibility=everywhere, known=everywhere, queries=np.column_stack([[0, 2, 4], spots]).astype(np.float32)
    )
    moved = clips.through_camera(told, np.arange(5), path[::2], (96, 128))
    checked = 0
    for t in range(5):
        for place in moved.tracks_px[t]:
            left, top = np.round(place).astype(int) - 4
            if left < 0 or top < 0 or left + 9 > 128 or top + 9 > 96:
                continue
            window = seen[t, top : top + 9, left : left + 9, 0].astype(float) ** 2
            peak = np.array([(window.sum(axis=axis) * np.arange(9)).sum() / window.sum() for axis in (0, 1)])
            np.testing.assert_allclose(peak + [left, top], place, atol=0.35)
            checked += 1
    assert checked >= 6
    np.testing.assert_array_equal(moved.queries[:, 0], [0, 2, 4])
    np.testing.assert_allclose(moved.queries[1, 1:], moved.tracks_px[2, 1], atol=1e-4)


def test_a_crop_never_shows_what_is_not_in_the_picture(clips) -> None:
    corners = np.array([[-0.5, -0.5], [127.5, -0.5], [-0.5, 95.5], [127.5, 95.5]])
    for seed in range(20):
        path = clips.camera_path(12, (96, 128), np.random.default_rng(seed))
        inverse = np.linalg.inv(np.concatenate([path, np.tile([[[0, 0, 1.0]]], (len(path), 1, 1))], axis=1))
        shown = np.einsum("tij,nj->tni", inverse[:, :2, :2], corners) + inverse[:, None, :2, 2]
        assert (shown >= -0.5 - 1e-6).all()
        assert (shown <= np.array([127.5, 95.5]) + 1e-6).all()


def test_time_that_runs_backwards_keeps_tracks_with_their_frames(clips) -> None:
    tracks = np.arange(20, dtype=np.float32).reshape(10, 1, 2)
    seen = np.ones((10, 1), bool)
    told = clips.Tracks(tracks_px=tracks, visibility=seen, known=seen, queries=np.array([[6, 12, 13]], np.float32))
    still = np.tile(np.eye(2, 3), (4, 1, 1))
    moved = clips.through_camera(told, np.array([8, 6, 4, 2]), still, (40, 40))
    np.testing.assert_array_equal(moved.tracks_px, tracks[[8, 6, 4, 2]])
    np.testing.assert_array_equal(moved.queries, [[1, 12, 13]])
    assert clips.through_camera(told, np.array([1, 2, 3, 4]), still, (40, 40)).queries[0, 0] == -1


def test_losses_by_hand_and_none_without_weight(training) -> None:
    given, model = given_of(training), training.new_model(0)
    output = training.run(model, given)
    right = training.losses(output, given, target_like(training, given))
    assert right["visibility"].item() == pytest.approx(np.log(2), rel=1e-5)  # logits of 0
    nothing = torch.zeros(given.chains.chain_px.shape[:2])
    silent = training.losses(output, given, target_like(training, given, position_weight=nothing, visibility_weight=nothing))
    assert all(float(value.detach()) == 0 for value in silent.values())
    # the chain is 3 px off in x: Huber's of 3 px is 4.5, over 4; the search's places are given no part in it
    off = target_like(training, given, tracks_px=given.chains.chain_px + torch.tensor([3.0, 0.0]))
    far = replace(
        output,
        search_px=output.search_px + 1000,
        estimates=tuple(replace(each, matched_px=each.matched_px + 1000) for each in output.estimates),
    )
    assert training.losses(far, given, off)["position"].item() == pytest.approx(4.5 / 4 / 2, rel=1e-4)


def test_the_query_itself_teaches_nothing(training) -> None:
    given, model = given_of(training), training.new_model(0)
    output = training.run(model, given)
    asked = (given.chains.queries[:, 0].long(), torch.arange(6))
    wrong = given.chains.chain_px.clone()
    wrong[asked] += 7
    visible = torch.ones(4, 6)
    visible[asked] = 0
    plain = training.losses(output, given, target_like(training, given))
    changed = training.losses(output, given, target_like(training, given, tracks_px=wrong, visible=visible))
    for name in plain:
        torch.testing.assert_close(plain[name], changed[name])


def test_a_training_that_was_killed_ends_with_the_same_weights(training, tmp_path) -> None:
    given = given_of(training)

    def run(keeping, dies_at=None):
        model = training.new_model(1)

        def loss_of(number):
            if number == dies_at:
                raise KeyboardInterrupt
            target = target_like(training, given, tracks_px=given.chains.chain_px + 0.5 * number)
            return sum(training.losses(training.run(model, given), given, target).values())

        training.train(model, loss_of, steps=5, rate=1e-3, keeping=keeping)
        return model.state_dict()

    whole = run(training.Keeping(file=tmp_path / "whole.pt", every=2))
    killed = training.Keeping(file=tmp_path / "killed.pt", every=2)
    with pytest.raises(KeyboardInterrupt):
        run(killed, dies_at=3)
    resumed = run(killed)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    untrained = training.new_model(1).state_dict()
    assert any(not torch.equal(whole[name], untrained[name]) for name in whole)


def test_a_mirrored_window_says_the_same(training) -> None:
    given = given_of(training)
    moved, told = training.augmented(given, target_like(training, given), np.random.default_rng(3))
    flips = [not torch.equal(moved.chains.queries[:, axis], given.chains.queries[:, axis]) for axis in (1, 2)]
    assert any(flips)
    torch.testing.assert_close(told.tracks_px, moved.chains.chain_px)
    for axis, length in ((0, 64), (1, 48)):
        torch.testing.assert_close(
            (moved.chains.chain_px - given.chains.chain_px)[..., axis], (length - 1 - 2 * given.chains.chain_px[..., axis]) * flips[axis]
        )


def test_labels_are_moved_by_the_window_s_camera_and_weigh_nothing_outside(clips) -> None:
    import teacher_loop_labels as loop

    places = np.tile(np.array([[10.0, 10.0], [60.0, 40.0]], np.float32), (3, 1, 1))
    seen = np.ones((3, 2), bool)
    tracks = clips.Tracks(tracks_px=places, visibility=seen, known=seen, queries=np.array([[0, 10, 10], [0, 60, 40]], np.float32))
    told = loop.Told(tracks=tracks, position_weight=np.full((3, 2), 0.5, np.float32), visibility_weight=np.ones((3, 2), np.float32))
    camera = np.tile(np.array([[1.0, 0, -20], [0, 1, 0]]), (2, 1, 1))  # 20 px to the right: the first point leaves
    window = clips.Window(
        key="a", images=(), truth=tracks, chain_px=places, strain=np.zeros((2, 2)), reached=seen, clues=np.zeros((2, 2, 9)),
        frames=np.array([2, 1]), chosen=np.array([0, 1]), camera=camera, size=(48, 64),
    )  # fmt: skip
    target = loop.target_of(window, told)
    np.testing.assert_array_equal(target.tracks_px[0], [[-10, 10], [40, 40]])
    np.testing.assert_array_equal(target.position_weight, [[0, 0.5], [0, 0.5]])
    np.testing.assert_array_equal(target.visible, [[0, 1], [0, 1]])


def test_a_logistic_fit_finds_the_odds_it_was_drawn_from() -> None:
    import visibility_fit

    draw = np.random.default_rng(0)
    clues = draw.normal(0, 1, (40_000, 2)) * [1.0, 3.0]
    truth = draw.random(40_000) < 1 / (1 + np.exp(-(1.5 * clues[:, 0] - 0.5 * clues[:, 1] + 0.3)))
    found = visibility_fit.fit([clues[:20_000], clues[20_000:]], [truth[:20_000], truth[20_000:]])
    slopes = found.weights[:2] / found.scale
    np.testing.assert_allclose(slopes, [1.5, -0.5], atol=0.06)
    assert found.probability(clues).mean() == pytest.approx(truth.mean(), abs=1e-4)  # the bias has no ridge


def test_a_folder_that_was_begun_otherwise_is_refused_by_what_differs(tmp_path) -> None:
    import experiments
    import typer

    file = tmp_path / "run" / "plan.json"
    experiments.hold_to_plan(file, {"steps": 4, "size": (8, 16)})
    experiments.hold_to_plan(file, {"steps": 4, "size": (8, 16)})
    with pytest.raises(typer.BadParameter, match="steps was 4, is 5"):
        experiments.hold_to_plan(file, {"steps": 5, "size": (8, 16)})


def test_the_steps_that_fit_into_the_time_are_kept(tmp_path) -> None:
    import refiner_gate

    plan = refiner_gate.Plan(
        out=tmp_path, cpu_minutes=2.0, steps=None, height=64, width=96, share=1.0, seed=0, processes=2
    )  # fmt: skip
    timings = [{24: 1.0, 48: 2.0}, {24: 2.0, 48: 3.0}]  # of two processes: 2 s a step
    assert refiner_gate.number_of_steps(plan, lambda: timings) == 60
    assert refiner_gate.number_of_steps(plan, lambda: []) == 60


def test_weights_are_written_as_the_labeler_reads_them(training, tmp_path) -> None:
    file, again = tmp_path / "a.safetensors", tmp_path / "b" / "b.safetensors"
    source = TrainingSource(dataset="walks", labels=("dis-flow-00000000",))
    training.write_weights(training.new_model(2), file, [source])
    training.write_weights(training.new_model(2), again, [source])
    assert file.read_bytes() == again.read_bytes()
    made = make_labeler("refined-flow", checkpoint=str(file)).provenance()
    assert made.license == "Apache-2.0"
    assert made.parents["sources"][0]["labels"] == ["dis-flow-00000000"]
