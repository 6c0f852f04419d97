"""Sound files as llama.cpp may see them: with headers that say no more than what is there.

Its decoder reserves memory for as many samples as a header claims, which may be billions in a file
of a hundred bytes, and aborts on a sound of a single sample. Sources: RFC 9639 (FLAC); "Multimedia
Programming Interface and Data Specifications 1.0" (WAV); the decoder, miniaudio 0.11.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from localai.domain.errors import InvalidRequest, Unsupported

LONGEST_S = 3600.0
SHORTEST_S = 0.1

_PLAIN, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_READ_AS_THEY_ARE = frozenset({_PLAIN, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE})
_LEAST_FORMAT_BYTES = 16
_FLAC_INFO = 18  # where rate, channels and length stand: after the mark, a block head and sizes
_FLAC_LENGTH_BITS = 36
_MP3_LENGTHS = (b"Xing", b"Info")  # marks of a frame that claims how many others there are


class _Format(NamedTuple):
    """The first fields of a WAV's format chunk."""

    kind: int
    channels: int
    rate_hz: int
    bytes_per_second: int
    block_bytes: int
    bits: int


def checked_sound(data: bytes) -> bytes:
    """A sound that is safe to decode: `data`, or the same sound with an honest header.

    Raises InvalidRequest for one that is damaged, too short or too long, and Unsupported for a
    format that llama.cpp does not read.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _wav(data)
    if data[:4] == b"fLaC":
        return _flac(data)
    if data[:3] == b"ID3" or (data[:1] == b"\xff" and data[1:2] >= b"\xe0"):
        for mark in _MP3_LENGTHS:
            data = data.replace(mark, bytes(len(mark)))
        return data
    message = "llama.cpp reads sound as WAV, MP3 or FLAC, and this is none of them."
    raise Unsupported(message, feature="audio", param="messages", hint="Convert it to one of them.")


def _wav(data: bytes) -> bytes:
    """The same sound with nothing but its format and its samples."""
    form = b""
    place = 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8
        if name == b"fmt ":
            form = data[place : place + size]
        elif name == b"data":
            samples = data[place : place + size]  # fewer, where the size is a lie or unknown
            _check_wav(form, len(samples))
            chunks = _chunk(b"fmt ", form) + _chunk(b"data", samples)
            return _chunk(b"RIFF", b"WAVE" + chunks)
        place += size + size % 2
    raise _damaged("the WAV file ends before its first sample")


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _check_wav(form: bytes, size: int) -> None:
    if len(form) < _LEAST_FORMAT_BYTES:
        raise _damaged("the WAV file does not say its format")
    said = _Format(*struct.unpack_from("<HHIIHH", form))
    if said.kind not in _READ_AS_THEY_ARE:
        message = f"The WAV file is compressed (format {said.kind}); only plain samples are read."
        raise Unsupported(message, feature="audio", param="messages", hint="Convert it to PCM.")
    if not said.rate_hz or not said.channels or said.block_bytes * 8 != said.channels * said.bits:
        raise _damaged("the WAV file contradicts itself about its format")
    _check_length(size // said.block_bytes, said.rate_hz)


def _flac(data: bytes) -> bytes:
    if len(data) < _FLAC_INFO + 8:
        raise _damaged("the FLAC file ends in its header")
    info = int.from_bytes(data[_FLAC_INFO : _FLAC_INFO + 8], "big")
    rate_hz, samples = info >> 44, info & ((1 << _FLAC_LENGTH_BITS) - 1)
    if not rate_hz or not samples:
        raise _damaged("the FLAC file does not say how long it is")
    _check_length(samples, rate_hz)
    return data


def _check_length(samples: int, rate_hz: int) -> None:
    seconds = samples / rate_hz
    if not SHORTEST_S <= seconds <= LONGEST_S:
        allowed = f"between {SHORTEST_S:g} and {LONGEST_S:g} s"
        message = f"The sound is {round(seconds, 4):.12g} s long; it must be {allowed}."
        raise InvalidRequest(message, param="messages")


def _damaged(why: str) -> InvalidRequest:
    return InvalidRequest(f"The sound cannot be read: {why}.", param="messages")
