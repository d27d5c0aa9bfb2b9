"""Deletion vectors: which rows of a data file are dead, written inside the log.

The bytes follow the Delta protocol, section "Deletion Vector Format": a magic
number, the number of bitmaps, and each bitmap's key and 32-bit portable roaring
form; an inline vector is those bytes in Z85 (ZeroMQ RFC 32), padded to a
multiple of four. Inline ones have no file of their own that could be lost.
"""

import struct
from array import array
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from lakehouse.errors import FormatError

Positions = npt.NDArray[np.uint32]
"""`uint32[n]`: places of rows in a file, from 0, ascending."""

_MAGIC: Final = 1681511377  # of the portable form, by the protocol
_DECODED_VECTORS_KEPT: Final = 256  # those of the files that merges keep touching
_HEADER: Final = struct.Struct("<iqi")  # magic, number of bitmaps, key of the first
# Z85, digit to character and back. Four bytes are a number, most significant byte
# first, and that is five digits to the base of 85.
_ALPHABET: Final = (
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    b".-:+=^!/*?&<>()[]{}@%$#"
)
_TO_TEXT: Final = np.frombuffer(_ALPHABET, dtype=np.uint8)
_FROM_TEXT: Final = np.zeros(256, dtype=np.uint32)
_FROM_TEXT[_TO_TEXT] = np.arange(85, dtype=np.uint32)
_POWERS: Final = np.array([85**4, 85**3, 85**2, 85, 1], dtype=np.uint32)


def encode_vector(dead: Positions) -> dict[str, Any]:
    """The descriptor of an inline vector, as an add action carries it.

    >>> encode_vector(np.array([0, 2], dtype=np.uint32))["cardinality"]
    2
    """
    # pyroaring takes an `array` of numbers as a whole, and anything else one by one.
    bitmap = BitMap(array("I", dead.astype(np.uint32).tobytes()))
    # Rows die in runs where whole frames go; a run is four bytes however long it is.
    bitmap.run_optimize()
    data = _HEADER.pack(_MAGIC, 1, 0) + bitmap.serialize()
    return {
        "storageType": "i",
        "pathOrInlineDv": _z85_encode(data),
        "sizeInBytes": len(data),
        "cardinality": len(bitmap),
    }


def decode_vector(descriptor: Mapping[str, Any]) -> Positions:
    """The dead rows that a descriptor names.

    Raises:
        FormatError: If the vector is not inline, or is none.

    >>> decode_vector(encode_vector(np.array([0, 2], dtype=np.uint32)))
    array([0, 2], dtype=uint32)
    """
    if descriptor["storageType"] != "i":
        raise FormatError(
            "A deletion vector lies in a file of its own; this package writes inline "
            "ones only. Another engine wrote to the table.",
            kind="table.foreign_vector",
        )
    return _decoded(descriptor["pathOrInlineDv"], descriptor["sizeInBytes"])


# A merge decodes the vector of every file it touches, and most are as they were.
@lru_cache(maxsize=_DECODED_VECTORS_KEPT)
def _decoded(text: str, size: int) -> Positions:
    # Cut to size: the text was padded to a multiple of four bytes.
    data = _z85_decode(text)[:size]
    magic, bitmaps, key = _HEADER.unpack_from(data)
    if magic != _MAGIC or bitmaps != 1 or key != 0:
        raise FormatError(
            f"Not a deletion vector of a file under 2^32 rows: {data[:16]!r}.",
            kind="table.damaged_vector",
        )
    bitmap = BitMap.deserialize(data[_HEADER.size :])
    dead = np.array(bitmap.to_array(), dtype=np.uint32)
    # Shared by every caller of the cache.
    dead.setflags(write=False)
    return dead


def _z85_encode(data: bytes) -> str:
    padded = data + bytes(-len(data) % 4)
    words = np.frombuffer(padded, dtype=">u4").astype(np.uint32)
    # uint32[words, 5]: all digits of all words at once.
    digits = (words[:, None] // _POWERS) % 85
    text: bytes = _TO_TEXT[digits].tobytes()
    return text.decode("ascii")


def _z85_decode(text: str) -> bytes:
    digits = _FROM_TEXT[np.frombuffer(text.encode("ascii"), dtype=np.uint8)]
    words = (digits.reshape(-1, 5) * _POWERS).sum(axis=1, dtype=np.uint32)
    data: bytes = words.astype(">u4").tobytes()
    return data
