"""Truth and predictions to figures; pure but for plots and notebooks.

    metrics = evaluate(labels, inferences, frames, task="2D_OBJECT_DETECTION")
    metrics.summary(), metrics.per_class(), metrics.confusion()
    metrics.matches()                  # what matched what, to query
    metrics.compare(other).changes()   # which labels explain a difference

The same rows, in any order, give the same bits. Read `evaluate` first, then
`detection`, `classification` or `segmentation`, one for each kind of task:

    options, inputs    the arguments; rows, typed and checked
    shapes, matching   overlaps of boxes and polygons; which inference matches which label
    average_precision  precision by recall, COCO's averages
    counts             outcomes, counts, rates, confusion matrix
    result, comparison, cached, plots, rendering  what users get, keep and draw
"""

from lakehouse.metrics.cached import cached_metrics, record_of
from lakehouse.metrics.comparison import Comparison
from lakehouse.metrics.evaluate import evaluate
from lakehouse.metrics.result import Metrics

__all__ = ["Comparison", "Metrics", "cached_metrics", "evaluate", "record_of"]
