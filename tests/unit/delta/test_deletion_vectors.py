"""Deletion vectors: the protocol's own example, and whatever else."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from lakehouse.delta.deletion_vectors import decode_vector, encode_vector
from lakehouse.errors import FormatError


def test_the_example_of_the_delta_protocol() -> None:
    text = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"
    descriptor = {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": 44}

    assert decode_vector(descriptor).tolist() == [3, 4, 7, 11, 18, 29]


@given(st.sets(st.integers(0, 2**32 - 1), max_size=200))
def test_positions_survive(positions: set[int]) -> None:
    dead = np.array(sorted(positions), dtype=np.uint32)

    vector = encode_vector(dead)

    assert decode_vector(vector).tolist() == dead.tolist()
    assert vector["cardinality"] == len(positions)
    assert len(vector["pathOrInlineDv"]) == -(-vector["sizeInBytes"] // 4) * 5


def test_a_vector_in_a_file_is_refused() -> None:
    descriptor = {"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^"}

    with pytest.raises(FormatError, match="Another engine"):
        decode_vector(descriptor)
