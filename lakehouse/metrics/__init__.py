"""Metrics: inferences against labels, and why the figures are what they are.

    metrics = evaluate(labels, inferences, frames, task="2D_OBJECT_DETECTION")
    metrics.summary(), metrics.per_class(), metrics.confusion()
    metrics.matches()                  # what matched what, to query
    metrics.compare(other).changes()   # which labels explain a difference

Pure functions of tables: the same rows, in any order, give the same bits.
"""

from lakehouse.metrics.cached import cached_metrics, record_of
from lakehouse.metrics.comparison import Comparison
from lakehouse.metrics.evaluate import evaluate
from lakehouse.metrics.result import Metrics

__all__ = ["Comparison", "Metrics", "cached_metrics", "evaluate", "record_of"]
