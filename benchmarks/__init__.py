"""Measurements beside the contenders: `python -m benchmarks --help`."""
