"""Names for the arrays that evaluation works on, one axis each."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
"""Pixels, IoU, confidences, rates."""

Ints = npt.NDArray[np.intp]
"""Places in other arrays, and counts."""

Flags = npt.NDArray[np.bool_]
"""Which entries are meant."""

Codes = npt.NDArray[np.uint8]
"""What became of each inference: see `matching`."""

Texts = npt.NDArray[np.object_]
"""A word for each entry."""
