"""Traits of a source's pictures that a player obeys: colour, HDR, interlacing, the shape of pixels, mirroring."""

import json
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import islice

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import DataError
from pipeline.video.colour import Colour, colour_of
from pipeline.video.orientation import orientation_of
from pipeline.video.tone_map import FORMULA

_PROGRESSIVE = 1  # field order of a codec's parameters
_NEVER_INTERLACED = ("av1", "hevc", "vp8", "vp9")  # their decoders give no frames of two fields
_LOOKED_AT = 24  # frames, where the parameters leave open whether frames are interlaced
SQUARE = Fraction(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureTraits:
    """Traits of the pictures of one source. The default is plain: upright, progressive, square pixels, no tags."""

    colour: Colour = field(default_factory=Colour)
    interlaced: bool = False  # one of the first frames is made of two fields
    aspect: Fraction = SQUARE  # width of a stored pixel over its height, as players take it: the container's word before the codec's
    coded_aspect: Fraction = SQUARE  # the codec's word alone
    mirrored: bool = False
    rounded_deg: int = 0  # rotation beyond the nearest quarter turn, which is not obeyed

    @property
    def needs_encoding(self) -> tuple[str, ...]:
        """Reasons for `--video auto` not to copy this source; empty if it may."""
        reasons = {
            f"HDR ({self.colour.hdr})": bool(self.colour.hdr),
            "interlaced": self.interlaced,
            f"pixels of {_ratio(self.aspect)}": self.aspect != SQUARE,
            "mirrored": self.mirrored,
        }
        return tuple(reason for reason, holds in reasons.items() if holds)

    def check_copy(self) -> None:
        """Raise DataError if a copy would not show what a player shows, with the remedy."""
        remedy = "use --video auto or h264"
        if self.interlaced:
            raise DataError(f"interlaced video cannot be copied: its frames are two fields of different times; {remedy}")
        if self.aspect != SQUARE:
            raise DataError(f"video whose pixels are {_ratio(self.aspect)}, not square, cannot be copied; {remedy}")

    def notes(self, video: str) -> tuple[str, ...]:
        """Notes of a clip's record on its pictures, stored as `video` (copy, h264, foreign)."""
        if video == "h264":
            remarks = {
                f"tone-mapped from {self.colour.hdr} ({FORMULA})": bool(self.colour.hdr),
                "deinterlaced (bwdif)": self.interlaced,
                f"pixels made square, were {_ratio(self.aspect)}": self.aspect != SQUARE,
            }
        else:
            remarks = {
                f"{self.colour.hdr} (HDR) as in the source": bool(self.colour.hdr),
                "interlaced": self.interlaced,
                f"pixels are {_ratio(self.aspect)}, not square": self.aspect != SQUARE,
                "mirrored by the display matrix": self.mirrored,
            }
        remarks[f"a rotation by another {self.rounded_deg} degrees is not obeyed"] = bool(self.rounded_deg)
        return tuple(remark for remark, holds in remarks.items() if holds)

    def to_json(self) -> str:
        """The probe table's column."""
        return json.dumps({**asdict(self), "aspect": str(self.aspect), "coded_aspect": str(self.coded_aspect)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | None) -> "PictureTraits":
        """Traits from the probe table's column; plain where an older table has none."""
        if text is None:
            return cls()
        fields = json.loads(text)
        ratios = {name: Fraction(fields[name]) for name in ("aspect", "coded_aspect")}
        return cls(**{**fields, **ratios, "colour": Colour(**fields["colour"])})


def read_traits(container: InputContainer, stream: VideoStream, first: VideoFrame) -> PictureTraits:
    """Traits of the source whose first frame has just been decoded; a few more are decoded where interlacing is in question.

    Raises: DataError for colours that cannot be converted; the caller adds the name.
    """
    orientation = orientation_of(first)
    coded = stream.codec_context.sample_aspect_ratio  # before further frames are decoded: the first frame's own
    shown = stream.sample_aspect_ratio or coded
    return PictureTraits(
        colour=colour_of(first),
        aspect=square_if_nearly(shown, first.width),
        coded_aspect=square_if_nearly(coded, first.width),
        mirrored=orientation.mirrored,
        rounded_deg=orientation.rounded_deg,
        interlaced=_is_interlaced(container, stream, first),
    )


def square_if_nearly(aspect: Fraction | None, width: int) -> Fraction:
    """The pixel's aspect, or 1 where it is not given or changes the picture's width by a pixel at most."""
    return Fraction(aspect) if aspect and aspect > 0 and abs(width * aspect - width) > 1 else SQUARE


def square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """(width, height) of a stored picture with square pixels: the height stays."""
    return max(1, round(width * aspect)), height


def _is_interlaced(container: InputContainer, stream: VideoStream, first: VideoFrame) -> bool:
    codec = stream.codec_context
    if first.interlaced_frame:
        return True
    if codec.field_order == _PROGRESSIVE or codec.name in _NEVER_INTERLACED:
        return False
    try:
        return any(frame.interlaced_frame for frame in islice(container.decode(stream), _LOOKED_AT - 1))
    except (av.error.FFmpegError, IndexError):  # the latter: streams that begin in mid-file, which PyAV does not know
        return False  # damage is found, and said, where the packets are read and the clips cut


def _ratio(aspect: Fraction) -> str:
    return f"{aspect.numerator}:{aspect.denominator}"
