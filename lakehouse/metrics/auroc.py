"""The area under the ROC curve, by ranks.

It is the chance that a positive scores above a negative, where equal scores
count half (Mann and Whitney's U; Fawcett 2006, section 7). Ranks are whole
numbers or halves, so their sum is exact in any order.
"""

import numpy as np

from lakehouse.metrics.arrays import Flags, Floats

__all__ = ["auroc"]


def auroc(scores: Floats, positive: Flags) -> float | None:
    """The area under the ROC curve.

    Args:
        scores: `float64[n]`: higher means surer of the class.
        positive: `bool[n]`: which are of the class.

    Returns:
        0 to 1, 0.5 for no better than chance; None if all or none are positive.

    >>> auroc(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]))
    0.875
    """
    many = int(positive.sum())
    others = len(positive) - many
    if not many or not others:
        return None
    ordered = np.sort(scores)
    below = np.searchsorted(ordered, scores[positive], "left")
    up_to = np.searchsorted(ordered, scores[positive], "right")
    # Twice the rank, ties at the middle of their places: whole numbers.
    ranks = int((below + up_to + 1).sum())
    return (ranks - many * (many + 1)) / (2 * many * others)
