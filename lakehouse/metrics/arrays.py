"""Names for the arrays that evaluation works on, one axis each."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
"""Pixels, IoU, confidences, rates."""

Ints = npt.NDArray[np.intp]
"""Indices into other arrays, and counts."""

Flags = npt.NDArray[np.bool_]
"""One yes or no for each entry of another array."""

OutcomeCodes = npt.NDArray[np.uint8]
"""FALSE_POSITIVE, TRUE_POSITIVE or IGNORED of each inference: see `matching`."""

Texts = npt.NDArray[np.object_]
"""One word for each entry of another array."""
