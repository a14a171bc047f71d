"""Unpack the compressed RTF that Outlook stores in messages ([MS-OXRTFCP])."""

from __future__ import annotations

import struct

from core.errors import DamagedDocument

_WINDOW = 4096
_HEADER_BYTES = 16
_START = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)


def decompress(packed: bytes) -> bytes:
    """Return the RTF that a compressed body holds.

    Raises:
        DamagedDocument: It is cut short or of an unknown kind.
    """
    if len(packed) < _HEADER_BYTES:
        raise _damaged()
    _, raw_size, kind, _ = struct.unpack_from("<IIII", packed)
    if kind == 0x414C454D:  # "MELA": stored as it is
        return packed[_HEADER_BYTES : _HEADER_BYTES + raw_size]
    if kind != 0x75465A4C:  # "LZFu"
        raise _damaged()
    return _unpack(packed[_HEADER_BYTES:])[:raw_size]


def _unpack(packed: bytes) -> bytes:
    window = bytearray(_START.ljust(_WINDOW, b"\0"))
    write = len(_START)
    out = bytearray()
    at = 0
    while at < len(packed):
        control = packed[at]
        at += 1
        for bit in range(8):
            step = 2 if control >> bit & 1 else 1
            if at + step > len(packed):
                return bytes(out)
            if step == 1:
                run = packed[at : at + 1]
            else:
                token = packed[at] << 8 | packed[at + 1]
                read, length = token >> 4, (token & 15) + 2
                if read == write % _WINDOW:  # the end mark points at where writing stands
                    return bytes(out)
                run = bytes(_copied(window, read=read, write=write, length=length))
            at += step
            for byte in run:
                window[write % _WINDOW] = byte
                write += 1
            out += run
    return bytes(out)


def _copied(window: bytearray, *, read: int, write: int, length: int) -> bytearray:
    """Return ``length`` bytes from ``read`` on; a run may overlap what it writes."""
    run = bytearray()
    for n in range(length):
        behind = (write - read) % _WINDOW
        run.append(run[n - behind] if n >= behind > 0 else window[(read + n) % _WINDOW])
    return run


def _damaged() -> DamagedDocument:
    return DamagedDocument("holds a body of unknown form", where="message", remedy="Save the message again")
