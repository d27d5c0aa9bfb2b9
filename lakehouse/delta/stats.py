"""Statistics of data files, by which readers skip files.

Numbers of rows, and for the key and other plain columns the least value, the
greatest, and how many are null. Long texts are cut, upwards for the greatest.
"""

import json
import math
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from lakehouse.contracts import Contract
from lakehouse.delta.actions import CHECKSUM, Action, milliseconds
from lakehouse.storage import Written

__all__ = ["add_action"]

_LONGEST_TEXT: Final = 64
_LAST_CHARACTER: Final = chr(0x10FFFF)


def add_action(
    path: str, written: Written, rows: pl.DataFrame, contract: Contract
) -> Action:
    """The action that adds a data file with these rows.

    Args:
        path: Relative to the table's folder.
        written: Its size and checksum.
        rows: What is in it.
        contract: The table's contract; columns of the key have bounds.
    """
    keys = {name: rows.get_column(name) for name in contract.key}
    stats: dict[str, Any] = {
        "numRecords": rows.height,
        "minValues": {name: _least(values.min()) for name, values in keys.items()},
        "maxValues": {name: _greatest(values.max()) for name, values in keys.items()},
        "nullCount": dict.fromkeys(contract.key, 0),
        "tightBounds": True,
    }
    return {
        "add": {
            "path": path,
            "partitionValues": {},
            "size": written.size,
            "modificationTime": milliseconds(datetime.now(UTC)),
            "dataChange": True,
            "stats": json.dumps(_without_nulls(stats), ensure_ascii=False),
            "tags": {CHECKSUM: written.checksum},
        }
    }


def _least(value: Any) -> Any:  # noqa: ANN401 - a bound of any type
    return value[:_LONGEST_TEXT] if isinstance(value, str) else _finite(value)


def _greatest(value: Any) -> Any:  # noqa: ANN401 - a bound of any type
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return value[:_LONGEST_TEXT] + _LAST_CHARACTER
    return _finite(value)


def _finite(value: Any) -> Any:  # noqa: ANN401 - a bound of any type
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _without_nulls(stats: dict[str, Any]) -> dict[str, Any]:
    for bound in ("minValues", "maxValues"):
        stats[bound] = {
            name: value for name, value in stats[bound].items() if value is not None
        }
    return stats
