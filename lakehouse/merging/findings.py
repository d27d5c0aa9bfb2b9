"""Problems that the kernel finds, each with the upload it is of."""

from typing import Final

import polars as pl

from lakehouse.model import found as model
from lakehouse.model.problems import PROBLEM_SCHEMA

__all__ = ["FOUND_SCHEMA", "found", "together"]

FOUND_SCHEMA: Final = pl.Schema([*PROBLEM_SCHEMA.items(), ("upload_id", pl.String())])
"""Problems, each with the upload it is of."""

_NOTHING: Final = pl.DataFrame(schema=FOUND_SCHEMA)

found = model.found


def together(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Several tables of problems as one."""
    return model.together(parts, _NOTHING)
