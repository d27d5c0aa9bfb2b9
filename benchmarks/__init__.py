"""Benchmarks: this package and other tools, measured on the same data.

    make bench                             everything: about half an hour
    make bench FRAMES=100000               on less data: a minute or two
    python -m benchmarks                   loads, upserts, scans, versions, metrics
    python -m benchmarks.steady            many merges in a row, drawn as SVG
    python -m benchmarks.similarity        nearest vectors, exact and approximate
    python -m benchmarks.evaluation        metrics beside faster-coco-eval
    python -m benchmarks.loading           sources larger than memory, bad rows

Each takes `--help`. pylance and matplotlib are needed: `make .venv/.bench`.
"""
