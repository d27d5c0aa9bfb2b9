"""What became of what an upload sent: item by item, and value by value.

What landed is in the change logs for ever. What did not is known from the staged
rows, which stay as long as some of them are rejected; problems are kept for ever,
and so is which item each is of.
"""

import json
from typing import Any, Final

import polars as pl

from lakehouse.ledger.collection import Collection
from lakehouse.model.contracts import LIVE_TABLES
from lakehouse.model.operations import MIXED, SENT, Operations
from lakehouse.storage import collect

_KEY: Final = ["frame_id", "label_id"]
_ITEM: Final = dict.fromkeys([*_KEY, "op"], pl.String())
_FIELD: Final = r"'\]\.(\w+)$"
"""The end of a problem's path: the field at fault, if it is one."""


# ----------------------------------- ITEMS ---------------------------------- #


def item_rows(
    collection: Collection,
    upload_id: str,
    status: str,
    staged: Operations,
    problems: pl.DataFrame,
) -> pl.DataFrame:
    """The frames and labels of an upload, and what became of each.

    Args:
        collection: Where the upload went.
        upload_id: The upload.
        status: How it ended, or PENDING.
        staged: Its rows, as far as they are kept.
        problems: Its problems.

    Returns:
        `frame_id`, `label_id` (null for a frame), `op`, `outcome`, and `problems`:
        how many there are with it.
    """
    landed = _landed(collection, upload_id)
    told = problems.filter(pl.col("frame_id").is_not_null())
    sent = pl.concat([_sent(staged), _of_problems(told)])
    sent = sent.unique(_KEY, keep="first", maintain_order=True)
    rest = sent.join(landed, on=_KEY, how="anti", nulls_equal=True)
    bad = told.filter(severity="error").get_column("frame_id").unique()
    fate = (
        pl.when(pl.lit(status == "FAILED") | pl.col("frame_id").is_in(bad.implode()))
        .then(pl.lit("rejected"))
        .otherwise(pl.lit("pending" if status == "PENDING" else "unchanged"))
    )
    rows = pl.concat([landed, rest.with_columns(outcome=fate)])
    counts = told.group_by(_KEY).agg(problems=pl.len().cast(pl.Int64))
    return (
        rows.join(counts, on=_KEY, how="left", nulls_equal=True)
        .with_columns(pl.col("problems").fill_null(0))
        .sort(_KEY, nulls_last=False)
    )


def _landed(collection: Collection, upload_id: str) -> pl.DataFrame:
    """What the change logs have of an upload; a vector counts as its frame or label."""
    version = collection.head().version
    parts = [pl.DataFrame(schema=_ITEM)]
    for table in LIVE_TABLES:
        log = f"{table}_changes"
        if not collection.state(log, version).files:
            continue
        of_frames = "label_id" not in collection.contract(table).key
        label = pl.lit(None, dtype=pl.String) if of_frames else pl.col("label_id")
        mine = collection.scan(log, version).filter(pl.col("upload_id") == upload_id)
        # A clone begins with images that no operation made: it adds them.
        op = pl.col("op").fill_null("ADD")
        parts.append(collect(mine.select("frame_id", label.alias("label_id"), op)))
    rows = pl.concat(parts).unique(_KEY, keep="first", maintain_order=True)
    return rows.with_columns(outcome=pl.lit("landed"))


def _sent(staged: Operations) -> pl.DataFrame:
    parts = [pl.DataFrame(schema=_ITEM)]
    op = pl.col("_op").alias("op")
    if staged.frames.height:
        null = pl.lit(None, dtype=pl.String).alias("label_id")
        parts.append(staged.frames.select("frame_id", null, op))
    if staged.labels.height:
        parts.append(staged.labels.select("frame_id", "label_id", op))
    return pl.concat(parts)


def _of_problems(problems: pl.DataFrame) -> pl.DataFrame:
    """The items that problems name: they are known when the rows are gone."""
    return problems.select(*_KEY, op=pl.lit(None, dtype=pl.String))


# ---------------------------------- VALUES ---------------------------------- #


def with_values(problems: pl.DataFrame, staged: Operations) -> pl.DataFrame:
    """Problems with the value at fault, as JSON; null where none is kept or named.

    Args:
        problems: As `upload_errors` has them.
        staged: The rows of the upload, as far as they are kept.
    """
    field = pl.col("path").str.extract(_FIELD)
    rows = problems.with_row_index("_place").with_columns(field.alias("_field"))
    found = [
        _values_at(mine, staged, str(name))
        for (name,), mine in rows.partition_by("_field", as_dict=True).items()
        if name is not None
    ]
    schema = {"_place": pl.get_index_type(), "value": pl.String()}
    values = pl.concat([pl.DataFrame(schema=schema), *found])
    placed = rows.join(values, on="_place", how="left", maintain_order="left")
    at = problems.get_column_index("path") + 1
    names = problems.columns
    return placed.select(*names[:at], "value", *names[at:])


def _values_at(problems: pl.DataFrame, staged: Operations, name: str) -> pl.DataFrame:
    """Place of a problem to the JSON of the field it blames."""
    parts: list[pl.DataFrame] = []
    for rows, key, is_label in (
        (staged.frames, ["frame_id"], False),
        (staged.labels, _KEY, True),
    ):
        mine = problems.filter(pl.col("path").str.starts_with("labels[") == is_label)
        if not mine.height or not rows.height:
            continue
        known = [one for one in (name, MIXED + name, SENT) if one in rows.columns]
        once = rows.select(*key, *(pl.col(one).alias(f"_{one}") for one in known))
        joined = mine.join(
            once.unique(key, keep="first"), on=key, how="inner", nulls_equal=True
        )
        texts = [
            _value(row, name)
            for row in joined.select(pl.selectors.starts_with("_")).iter_rows(
                named=True
            )
        ]
        parts.append(joined.select("_place", value=pl.Series(texts, dtype=pl.String)))
    schema = {"_place": pl.get_index_type(), "value": pl.String()}
    return pl.concat([pl.DataFrame(schema=schema), *parts])


def _value(row: dict[str, Any], name: str) -> str | None:
    """What was sent in a field: as the row says that is kept, or as it was read."""
    if (sent := row.get(f"_{SENT}")) is not None:
        value = json.loads(sent).get(name)
    elif (text := row.get(f"_{MIXED}{name}")) is not None:
        return str(text)
    else:
        value = row.get(f"_{name}")
    if value is None:
        return None
    return json.dumps(value, default=str, ensure_ascii=False)
