"""Measurements beside the contenders: `python -m tests.benchmarks --help`."""
