"""Engines run the kernel: the embedded one, on one machine, with Polars."""

from lakehouse.engines.merger import Merger

__all__ = ["Merger"]
