"""The refiner of chains: places by hand, the start at the chain, and what may not touch what."""

import torch

from networks import build_model
from networks.chain_refiner import CLUES, Chains, Features, features_of
from networks.chain_refiner.correlation import best_place, correlations, features_at, patches


def model_of(seed=0):
    return build_model("chain-refiner", generator=torch.Generator().manual_seed(seed)).eval()


def frames_of(num_frames=4):
    return torch.rand(num_frames, 3, 48, 64, generator=torch.Generator().manual_seed(5))


def chains_of(num_frames=4, points=6):
    draw = torch.Generator().manual_seed(0)
    queries = torch.stack([torch.arange(points) % num_frames, torch.arange(points) * 9 + 5, torch.arange(points) * 6 + 6], dim=1).float()
    chain = queries[None, :, 1:] + torch.rand(num_frames, points, 2, generator=draw)
    return Chains(queries=queries, chain_px=chain, clues=torch.rand(num_frames, points, CLUES, generator=draw))


def stirred(model):
    """With heads that say something."""
    with torch.no_grad():
        model.heads.weight.normal_(0, 0.2, generator=torch.Generator().manual_seed(1))
    return model


def test_it_has_at_most_a_million_weights_and_begins_at_the_chain() -> None:
    model, chains = model_of(), chains_of()
    assert sum(part.numel() for part in model.parameters()) <= 1_000_000
    maps = model.maps(frames_of())
    for estimate in model(maps, features_of(maps, chains.queries), chains).estimates:
        torch.testing.assert_close(estimate.place_px, chains.chain_px)


def test_frames_of_a_window_do_not_touch_each_others_features() -> None:
    model, frames = model_of(), frames_of()
    together, alone = model.maps(frames), model.maps(frames[2:3])
    torch.testing.assert_close(together.fine[2:3], alone.fine, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.coarse[2:3], alone.coarse, rtol=1e-4, atol=1e-5)


def test_points_do_not_touch_each_other_and_frames_do() -> None:
    model, chains = stirred(model_of()), chains_of()
    maps = model.maps(frames_of())
    queries = features_of(maps, chains.queries)
    whole = model(maps, queries, chains).estimates[-1]
    one = Chains(queries=chains.queries[2:3], chain_px=chains.chain_px[:, 2:3], clues=chains.clues[:, 2:3])
    single = model(maps, Features(fine=queries.fine[2:3], coarse=queries.coarse[2:3]), one).estimates[-1]
    torch.testing.assert_close(whole.refined_px[:, 2:3], single.refined_px, rtol=1e-4, atol=1e-4)
    other = Chains(queries=chains.queries, chain_px=chains.chain_px, clues=torch.cat([chains.clues[:3], chains.clues[3:] + 1]))
    assert (model(maps, queries, other).estimates[-1].visibility[0] - whole.visibility[0]).abs().max() > 1e-5


def test_a_query_far_before_the_window_looks_like_one_that_is_as_far_as_it_learned_on() -> None:
    model, chains = stirred(model_of()), chains_of()
    maps = model.maps(frames_of())
    queries = features_of(maps, chains.queries)

    def asked_at(frame):
        moved = torch.cat([torch.full((6, 1), float(frame)), chains.queries[:, 1:]], dim=1)
        return model(maps, queries, Chains(queries=moved, chain_px=chains.chain_px, clues=chains.clues)).estimates[-1].visibility

    torch.testing.assert_close(asked_at(-60), asked_at(-1000))
    assert (asked_at(-60) - asked_at(-10)).abs().max() > 1e-5


def test_the_best_cell_is_where_the_map_peaks_and_corners_know_their_border() -> None:
    logits = torch.zeros(1, 3, 6, 8)
    logits[0, 0, 4, 5] = logits[0, 1, 0, 0] = 100
    logits[0, 2, 2, 2] = logits[0, 2, 2, 3] = 100
    places, share = best_place(logits)
    expected = torch.tensor([[5.0, 4.0], [0.0, 0.0], [2.5, 2.0]])  # the last lies between two cells
    torch.testing.assert_close(places[0], (expected + 0.5) * 8 - 0.5)
    torch.testing.assert_close(share[0], torch.ones(3))


def test_patches_are_read_bilinearly_and_are_zero_beyond_the_map() -> None:
    row, column = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing="ij")
    volume = (10 * row + column)[None, None]
    found = patches(volume, torch.tensor([[[5.25, 6.5]]]))[0, 0].view(7, 7)
    torch.testing.assert_close(found[3, 3], torch.tensor(70.25))
    torch.testing.assert_close(found[0, 6], torch.tensor(10 * 3.5 + 8.25))
    assert patches(volume, torch.tensor([[[40.0, 40.0]]])).abs().max() == 0


def test_each_query_is_held_against_the_feature_where_and_when_it_is_asked() -> None:
    maps = torch.nn.functional.normalize(torch.rand(3, 5, 6, 8, generator=torch.Generator().manual_seed(1)) - 0.5, dim=1)
    queries = torch.tensor([[2.0, 8 * 3 + 3.5, 8 * 1 + 3.5], [0.0, 8 * 7 + 3.5, 8 * 5 + 3.5], [2.0, 3.5, 3.5]])  # centres of cells
    volume = correlations(maps, features_at(maps, queries, 8))
    torch.testing.assert_close(volume[2, 0, 1, 3], torch.tensor(1.0))
    torch.testing.assert_close(volume[0, 1, 5, 7], torch.tensor(1.0))
    torch.testing.assert_close(volume[1, 2], torch.einsum("chw,c->hw", maps[1], maps[2, :, 0, 0]))
