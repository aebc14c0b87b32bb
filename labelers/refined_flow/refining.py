"""A window of chains through the network: places, and scores of being seen there."""

from dataclasses import dataclass

import numpy as np
import torch

from networks.chain_refiner import COARSE, ChainRefiner, Chains, Features, features_of

FRAMES_AT_ONCE = 48  # through the convolutions, of query frames
POINTS_AT_ONCE = 256  # correlations of a window of 48 frames of 192x256 with them are 190 MB; points do not touch each other
_BELOW_ONE = 1 - 2**-20  # a score of 1 is the query's


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Found:
    """Tracks of a window."""

    tracks_px: np.ndarray  # float32 "T N 2"
    score: np.ndarray  # float32 "T N" in [0, 1]: that the point is seen, and there; 1 at the query, and nowhere else


@torch.inference_mode()
def maps_of(model: ChainRefiner, frames: np.ndarray) -> Features:
    """Of frames uint8 "T H W 3", on the model's device."""
    images = torch.from_numpy(np.ascontiguousarray(frames)).to(model.sharpness.device)
    return model.maps(images.permute(0, 3, 1, 2).float() / 255)


@torch.inference_mode()
def features_of_queries(model: ChainRefiner, frames: np.ndarray, queries: np.ndarray) -> Features:
    """Of queries float32 "N 3", each in its own of the frames uint8 "T H W 3"; N >= 1."""
    asked, place = np.unique(queries[:, 0].astype(np.int64), return_inverse=True)
    there = np.column_stack([place, queries[:, 1:]]).astype(np.float32)
    parts, order = [], []
    for begin in range(0, len(asked), FRAMES_AT_ONCE):
        among = np.flatnonzero((begin <= place) & (place < begin + FRAMES_AT_ONCE))
        maps = maps_of(model, frames[asked[begin : begin + FRAMES_AT_ONCE]])
        parts.append(features_of(maps, torch.from_numpy(there[among] - np.array([begin, 0, 0], np.float32)).to(maps.fine.device)))
        order.append(among)
    back = torch.from_numpy(np.argsort(np.concatenate(order))).to(parts[0].fine.device)
    return Features(fine=torch.cat([part.fine for part in parts])[back], coarse=torch.cat([part.coarse for part in parts])[back])


@torch.inference_mode()
def refine(model: ChainRefiner, maps: Features, queries: Features, chains: Chains) -> Found:
    """Places and scores of the last iteration; at the query, where the window has its frame, the query itself.

    Args:
        maps: of the window's frames. queries: of the N points. chains: on any device.
    """
    device, num_points = maps.fine.device, len(chains.queries)
    places, scores = [], []
    for begin in range(0, num_points, POINTS_AT_ONCE):
        part = slice(begin, begin + POINTS_AT_ONCE)
        some = Chains(
            queries=chains.queries[part].to(device), chain_px=chains.chain_px[:, part].to(device), clues=chains.clues[:, part].to(device)
        )
        last = model(maps, Features(fine=queries.fine[part], coarse=queries.coarse[part]), some).estimates[-1]
        places.append(last.place_px.cpu())
        scores.append((last.visibility.sigmoid() * last.certainty.sigmoid()).cpu())
    place, score = torch.cat(places, dim=1), torch.cat(scores, dim=1).clamp(max=_BELOW_ONE)
    size = place.new_tensor([maps.coarse.shape[-1] * COARSE, maps.coarse.shape[-2] * COARSE])
    place = torch.minimum(torch.maximum(place, -size), 2 * size)  # predictions, held near the image as those of chains are
    frame = chains.queries[:, 0].long().cpu()
    here = torch.nonzero((frame >= 0) & (frame < len(place)))[:, 0]
    place[frame[here], here], score[frame[here], here] = chains.queries[here, 1:].cpu(), 1.0
    return Found(tracks_px=place.numpy(), score=score.numpy())
