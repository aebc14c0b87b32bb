"""Packets by the network abstraction layer (NAL) of H.264 and HEVC: whether decoding begins anew, with which parameters,
what is lost before it.

ITU-T H.264 7.3.1, 7.3.2.1.1, 7.3.3, 7.4.3 (frame_num); H.265 7.4.2.2.
"""

from collections.abc import Iterator

_HEAD = 96  # bytes of a unit that are looked at


def units(codec: str, data: bytes, extradata: bytes | None) -> Iterator[bytes]:
    """The head of every NAL unit of a packet: behind start codes, or behind lengths as the extradata (avcC, hvcC) says."""
    where = 21 if codec == "hevc" else 4
    if extradata and extradata[0] == 1 and len(extradata) > where:
        size = (extradata[where] & 3) + 1
        at = 0
        while at + size < len(data):
            length = int.from_bytes(data[at : at + size], "big")
            yield data[at + size : at + size + min(length, _HEAD)]
            at += size + length
        return
    at = data.find(b"\0\0\1")
    while at >= 0:
        end = data.find(b"\0\0\1", at + 3, at + 3 + _HEAD)
        yield data[at + 3 : at + 3 + _HEAD if end < 0 else end]
        at = data.find(b"\0\0\1", at + 3)


def begins_anew(codec: str, data: bytes, extradata: bytes | None) -> bool:
    """Whether a key frame's packet clears the decoder: an IDR picture in H.264, any random access picture in HEVC.

    (After HEVC's CRA picture only pictures that are shown before it refer to earlier ones.) True for every other codec.
    """
    if codec == "h264":
        return any(unit[0] & 31 == 5 for unit in units(codec, data, extradata) if unit)
    if codec == "hevc":
        return any(16 <= unit[0] >> 1 & 63 <= 21 for unit in units(codec, data, extradata) if unit)
    return True


def parameter_sets(codec: str, data: bytes, extradata: bytes | None) -> tuple[bytes, ...]:
    """The heads of the sequence parameter sets that a packet carries (H.264, HEVC): size, interlacing and colours of what follows."""
    if codec not in ("h264", "hevc"):
        return ()
    mask, kind = (0x1F, 7) if codec == "h264" else (0x7E, 33 << 1)
    return tuple(unit.rstrip(b"\0") for unit in units(codec, data, extradata) if unit and unit[0] & mask == kind)


class FrameNumbers:
    """Follows H.264's frame_num, which counts reference pictures: a jump says that one is missing."""

    def __init__(self, extradata: bytes | None) -> None:
        self._extradata = extradata
        self._bits = 0  # of frame_num; 0 while unknown, or where the stream may jump
        self._separate_planes = False
        self._last = -1  # frame_num of the last reference picture; -1: none yet
        for at in _find_all(extradata or b"", b"\x67"):  # the parameter set within avcC
            if extradata and extradata[0] == 1 and at == 8:
                self._read_parameters(extradata[at : at + _HEAD])

    def missing_before(self, data: bytes, is_key: bool) -> bool:
        """Take the next packet in stored order: whether a picture is missing between the one before and it."""
        for unit in units("h264", data, self._extradata):
            kind = unit[0] & 31 if unit else 0
            if kind == 7:
                self._read_parameters(unit)
            if kind in (1, 5) and self._bits:
                return self._follow(unit, is_key)
        return False

    def _follow(self, unit: bytes, is_key: bool) -> bool:
        bits = _Bits(unit[1:])
        for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
            bits.exp_golomb()
        if self._separate_planes:
            bits.read(2)
        number, last = bits.read(self._bits), self._last
        if unit[0] >> 5 & 3:
            self._last = number
        return last >= 0 and not is_key and number not in (last, (last + 1) % (1 << self._bits), 0)

    def _read_parameters(self, unit: bytes) -> None:
        bits = _Bits(unit[1:])
        profile = bits.read(8)
        bits.read(16)
        bits.exp_golomb()
        self._separate_planes = False
        if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135):
            chroma = bits.exp_golomb()
            self._separate_planes = chroma == 3 and bits.read(1) == 1
            bits.exp_golomb(), bits.exp_golomb(), bits.read(1)
            if bits.read(1):  # scaling lists: rare, and long to read
                self._bits = 0
                return
        length = bits.exp_golomb() + 4
        order = bits.exp_golomb()
        if order == 0:
            bits.exp_golomb()
        elif order == 1:
            bits.read(1), bits.exp_golomb(), bits.exp_golomb()
            for _ in range(min(255, bits.exp_golomb())):
                bits.exp_golomb()
        bits.exp_golomb()  # max_num_ref_frames
        may_jump = bits.read(1)
        self._bits = 0 if may_jump or length > 16 else length


def _find_all(data: bytes, what: bytes) -> Iterator[int]:
    at = data.find(what)
    while at >= 0:
        yield at
        at = data.find(what, at + 1)


class _Bits:
    """Bits of a NAL unit, most significant first; zeros behind its end."""

    def __init__(self, data: bytes) -> None:
        clean = data.replace(b"\0\0\3", b"\0\0")  # emulation prevention
        self._value, self._left = int.from_bytes(clean, "big"), 8 * len(clean)

    def read(self, count: int) -> int:
        self._left -= count
        shifted = self._value >> self._left if self._left >= 0 else 0
        return shifted & ((1 << count) - 1)

    def exp_golomb(self) -> int:
        zeros = 0
        while self._left > 0 and not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(min(zeros, 32))
