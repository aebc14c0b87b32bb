"""Colour tags of pictures (ITU-T H.273 numbers), and those of a re-encoded clip."""

from dataclasses import dataclass

from av.video.frame import VideoFrame

from pipeline.errors import DataError

RGB, BT709, UNSPECIFIED, BT601, BT2020 = 0, 1, 2, 6, 9  # matrices; 1, 2 and 9 also name primaries, 1 and 2 transfers
_BT2020_CONSTANT = 10  # of constant luminance, which libswscale reads as the other
PQ, HLG = 16, 18  # transfers
LIMITED, FULL = 1, 2  # ranges
_MATRICES = (1, 2, *range(4, 18))
_PRIMARIES = (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22)
_TRANSFERS = (1, 2, *range(4, 19))
_SWSCALE_MATRICES = {1: 1, 2: 5, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}  # H.273 matrix -> libswscale's number of it


@dataclass(frozen=True, kw_only=True, slots=True)
class Colour:
    """Meaning of the numbers of a picture. A picture without tags is BT.601 of limited range at any size.

    That is how libswscale, and with it PyAV, OpenCV, torchcodec and decord, read it. (Some players take BT.709 for untagged
    pictures of 720 lines or more.)
    """

    matrix: int = UNSPECIFIED
    range: int = LIMITED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def hdr(self) -> str:
        """PQ or HLG; empty for ordinary pictures."""
        return {PQ: "PQ", HLG: "HLG"}.get(self.transfer, "")

    @property
    def swscale_matrix(self) -> int:
        """libswscale's number of the matrix. HDR without a matrix tag is BT.2020."""
        return _SWSCALE_MATRICES[BT2020 if self.hdr and self.matrix in (UNSPECIFIED, RGB) else self.matrix]


def is_rgb(frame: VideoFrame) -> bool:
    """Whether the pixels are RGB, not luma and chroma."""
    return frame.format.is_rgb or frame.format.has_palette


def colour_of(frame: VideoFrame) -> Colour:
    """A frame's colour tags.

    Raises: DataError for a matrix that cannot be converted (YCgCo, ICtCp and other rare ones); the caller adds the name.
    """
    matrix = UNSPECIFIED if is_rgb(frame) else int(frame.colorspace)
    if matrix == RGB:
        matrix = UNSPECIFIED  # a slip of encoders: YUV pictures cannot have it, and libswscale reads them as untagged
    matrix = _known(matrix, _MATRICES)
    if matrix not in _SWSCALE_MATRICES:
        raise DataError(
            f"its colour matrix (H.273 number {matrix}) is none that can be converted; "
            "convert it first: ffmpeg -i IN -vf zscale=matrix=709,format=yuv420p OUT.mp4"
        )
    full = int(frame.color_range) == FULL or frame.format.name.startswith("yuvj")
    return Colour(
        matrix=matrix,
        range=FULL if full else LIMITED,
        primaries=_known(int(frame.color_primaries), _PRIMARIES),
        transfer=_known(int(frame.color_trc), _TRANSFERS),
    )


def _known(value: int, values: tuple[int, ...]) -> int:
    """The tag, or unspecified where the standard reserves the number: encoders refuse those."""
    return value if value in values else UNSPECIFIED


def encoded_colour(colour: Colour, *, from_rgb: bool) -> Colour:
    """The tags of the re-encoded clip: the source's own, with these exceptions.

    HDR becomes BT.709. RGB pictures are converted by BT.709's matrix to limited range. A matrix that the source leaves open
    is written down as the one that it is read by, BT.601.
    """
    if colour.hdr:
        return Colour(matrix=BT709, primaries=BT709, transfer=BT709)
    if from_rgb:
        return Colour(matrix=BT709, primaries=colour.primaries, transfer=colour.transfer)
    matrix = {UNSPECIFIED: BT601, _BT2020_CONSTANT: BT2020}.get(colour.matrix, colour.matrix)
    return Colour(matrix=matrix, range=colour.range, primaries=colour.primaries, transfer=colour.transfer)
