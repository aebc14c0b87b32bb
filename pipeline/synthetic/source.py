"""Synthetic clips as a dataset with ground truth: one sequence per clip, filmed when it is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.datasets.source import SequenceInfo
from pipeline.errors import ConfigError, DataError
from pipeline.records.truth import TruthClip
from pipeline.synthetic.clip import LICENSE, film
from pipeline.synthetic.domains import DOMAINS, domain_named
from pipeline.synthetic.planes.clip import DOMAIN as PLANES
from pipeline.synthetic.planes.clip import PlaneRequest, film_planes
from pipeline.synthetic.staging import ClipRequest

DOMAIN_NAMES = (*DOMAINS, PLANES)
_RENDERER = 1  # raised whenever equal arguments begin to give other clips; part of a dataset's identity


@dataclass(frozen=True, slots=True)
class SyntheticSource:
    """Clips of one domain. Clip number i depends on the domain, the seed, i, the number of frames and the size, and on nothing else."""

    domain: str  # studio | wild | planes
    num_clips: int
    seed: int
    num_frames: int = 24
    size: tuple[int, int] = (168, 224)  # height, width: even, as the shards' video asks
    num_tracks: int = 256
    license: str | None = field(default=LICENSE, init=False)
    name: str = field(default="", init=False)  # synthetic-studio, ...
    keep_images: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.domain not in DOMAIN_NAMES:
            raise ConfigError(f"unknown domain {self.domain!r}; known are {', '.join(DOMAIN_NAMES)}")
        object.__setattr__(self, "name", f"synthetic-{self.domain}")
        if self.num_clips < 1 or self.seed < 0:
            raise ConfigError(f"{self.num_clips} clips of seed {self.seed}: expected at least one clip, and a seed of 0 or more")
        if self.num_frames < 2 or self.num_tracks < 0:
            raise ConfigError(f"{self.num_frames} frames, {self.num_tracks} tracks: expected at least 2 frames, and no negative number")
        if any(side < 16 or side % 2 for side in self.size):
            raise ConfigError(f"frames of {self.size[1]}x{self.size[0]}: expected even sides of at least 16 pixels")

    def sequences(self) -> Sequence[SequenceInfo]:
        """One per clip, in the order of their numbers."""
        options = {"seed": self.seed, "size": list(self.size), "num_tracks": self.num_tracks, "renderer": _RENDERER}
        return [
            SequenceInfo(name=f"seed{self.seed}/{number:06d}", num_frames=self.num_frames, extra={**options, "number": number})
            for number in range(self.num_clips)
        ]

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Film a window of a clip.

        Raises: DataError if no draw of this clip can be filmed, or the window lies outside it; ConfigError if the `synthetic`
            extra is not installed.
        """
        if not (first_frame >= 0 and num_frames >= 1 and first_frame + num_frames <= sequence.num_frames):
            raise DataError(f"{sequence.name}: frames {first_frame}..{first_frame + num_frames - 1} of {sequence.num_frames}")
        number, window = int(sequence.extra["number"]), range(first_frame, first_frame + num_frames)
        if self.domain == PLANES:
            planes = PlaneRequest(seed=self.seed, number=number, num_frames=sequence.num_frames, size=self.size)
            return film_planes(planes, num_tracks=self.num_tracks, license_text=LICENSE, window=window)
        domain = domain_named(self.domain)
        request = ClipRequest(domain=domain, seed=self.seed, number=number, num_frames=sequence.num_frames, size=self.size)
        return film(request, num_tracks=self.num_tracks, window=window)
