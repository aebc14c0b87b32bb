"""The tiny TrajVG of the loss ablation: its tracker begins where the given flow leads, a stand-in for pretrained weights.

From nothing it does not learn to track in the time that there is: after 1,000 steps it is farther off than standing still, and no loss
could be told from another.
"""

from pathlib import Path

import torch
from experiments import places
from self_supervision_clips import SIZE
from self_supervision_network import CONFIG, GivenTrajVG
from torch import Tensor, nn

from networks.pi3.config import ModelConfig
from networks.pi3.geometry import ModelOutput
from networks.trajvg.track_head import Boxes, CameraTracks, TrackHead

VISIBLE = 1.0  # logit that an untrained tracker adds


class FlowTrackHead(TrackHead):
    """Begins at the point map's points in given pixels."""

    pixels: Tensor  # "B T Q", numbers of pixels in their frames; set before every call

    def forward(self, feature_maps: Tensor, local_points: Tensor, query_points: Tensor) -> CameraTracks:
        """See `TrackHead.forward`."""
        points = local_points.detach().flatten(2, 3)
        self._begun = points.gather(2, self.pixels[..., None].expand(-1, -1, -1, 3))
        return super().forward(feature_maps, local_points, query_points)

    def begin(self, boxes: Boxes, start: Tensor) -> Tensor:
        """See `TrackHead.begin`; frame 0 is the query's own."""
        coordinates = boxes.normalise(self._begun).detach()
        coordinates[:, 0] = start.detach()
        return coordinates


class FlowTrajVG(GivenTrajVG):
    """With that tracker; before it is trained, it leaves points where they are and calls them visible."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.track_head: FlowTrackHead = FlowTrackHead(config.track_head)

    @classmethod
    def of_base(cls, file: Path) -> "FlowTrajVG":
        """From a stored base, whose tracker was not trained."""
        model = cls.build(CONFIG, torch.Generator().manual_seed(0))
        model.load_state_dict(torch.load(file, weights_only=False)["weights"])
        last = model.track_head.tracker.updateformer.flow_head
        nn.init.zeros_(last.weight)
        last.bias.data = torch.tensor([0.0, 0.0, 0.0, VISIBLE])
        return model

    def forward(self, images: Tensor, query_points: Tensor | None = None, *, confidence: bool = True) -> ModelOutput:
        """See `TrajVG.forward`; queries must be given."""
        assert query_points is not None, "the experiments ask for tracks"
        self.track_head.pixels = reached_from(images[:, :, -2:], query_points)
        output: ModelOutput = super().forward(images, query_points, confidence=confidence)
        return output


def reached_from(flow: Tensor, query_points: Tensor) -> Tensor:
    """Number of each frame's pixel whose flow to frame 0, "B T 2 H W" as `stand_in_channels` has it, ends nearest to a query "B Q 2"."""
    pixels = torch.from_numpy(places(SIZE)).to(flow)
    ends = pixels + flow.permute(0, 1, 3, 4, 2) * (SIZE[1] / 10)
    return torch.cdist(query_points[:, None].expand(-1, ends.shape[1], -1, -1), ends.flatten(2, 3)).argmin(dim=-1)
