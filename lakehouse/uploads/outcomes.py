"""The outcome of an upload: of each frame and label, and the value of each problem.

The change logs hold what landed, permanently. The rest is known from the staged rows,
which stay while some of them are rejected, and from the problems, which stay
permanently and name their frame and label.
"""

import json
from typing import Any, Final

import polars as pl

from lakehouse.intake.plain import as_text
from lakehouse.ledger.collection import Collection
from lakehouse.model.contracts import LIVE_TABLES
from lakehouse.model.operations import MIXED, SENT, Operations
from lakehouse.storage import collect

_KEY: Final = ["frame_id", "label_id"]
_ITEM: Final = dict.fromkeys([*_KEY, "op"], pl.String())
_FIELD_AT_END: Final = r"'\]\.(\w+)$"
"""The end of a problem's path, `labels['a'].width`: the field, if it names one."""


# ----------------------------------- ITEMS ---------------------------------- #


def item_rows(
    collection: Collection,
    upload_id: str,
    status: str,
    staged: Operations,
    problems: pl.DataFrame,
) -> pl.DataFrame:
    """The frames and labels of an upload, with the outcome of each.

    Args:
        collection: The target of the upload.
        upload_id: The id of the upload.
        status: Its status.
        staged: Its rows; none if they were swept.
        problems: Its problems.

    Returns:
        `frame_id`, `label_id` (null for a frame), `op`, `outcome`, and `problems`:
        how many it has.
    """
    landed = _landed(collection, upload_id)
    named = problems.filter(pl.col("frame_id").is_not_null())
    # Items with problems are known from these when the rows are swept; `op` is not.
    without_op = named.select(*_KEY, op=pl.lit(None, dtype=pl.String))
    sent = pl.concat([_sent(staged), without_op])
    sent = sent.unique(_KEY, keep="first", maintain_order=True)
    # What landed is certain; of the rest, problems and status say the outcome.
    rest = sent.join(landed, on=_KEY, how="anti", nulls_equal=True)
    rejected = named.filter(severity="error").get_column("frame_id").unique()
    outcome = (
        pl.when(
            pl.lit(status == "FAILED") | pl.col("frame_id").is_in(rejected.implode())
        )
        .then(pl.lit("rejected"))
        .otherwise(pl.lit("pending" if status == "PENDING" else "unchanged"))
    )
    rows = pl.concat([landed, rest.with_columns(outcome=outcome)])
    counts = named.group_by(_KEY).agg(problems=pl.len().cast(pl.Int64))
    return (
        rows.join(counts, on=_KEY, how="left", nulls_equal=True)
        .with_columns(pl.col("problems").fill_null(0))
        .sort(_KEY, nulls_last=False)
    )


def _landed(collection: Collection, upload_id: str) -> pl.DataFrame:
    """The items of an upload in the change logs; a vector counts as its frame or label."""
    version = collection.head().version
    parts = [pl.DataFrame(schema=_ITEM)]
    for table in LIVE_TABLES:
        log = f"{table}_changes"
        # Most datasets have no vectors: an empty log costs no scan.
        if not collection.state(log, version).files:
            continue
        of_frames = "label_id" not in collection.contract(table).key
        label = pl.lit(None, dtype=pl.String) if of_frames else pl.col("label_id")
        rows = collection.scan(log, version).filter(pl.col("upload_id") == upload_id)
        # A clone begins with rows that no operation wrote: they count as added.
        op = pl.col("op").fill_null("ADD")
        parts.append(collect(rows.select("frame_id", label.alias("label_id"), op)))
    items = pl.concat(parts).unique(_KEY, keep="first", maintain_order=True)
    return items.with_columns(outcome=pl.lit("landed"))


def _sent(staged: Operations) -> pl.DataFrame:
    parts = [pl.DataFrame(schema=_ITEM)]
    op = pl.col("_op").alias("op")
    if staged.frames.height:
        null = pl.lit(None, dtype=pl.String).alias("label_id")
        parts.append(staged.frames.select("frame_id", null, op))
    if staged.labels.height:
        parts.append(staged.labels.select("frame_id", "label_id", op))
    return pl.concat(parts)


# ---------------------------------- VALUES ---------------------------------- #


def with_values(problems: pl.DataFrame, staged: Operations) -> pl.DataFrame:
    """Problems with the value that caused them, as JSON; null if it is not kept.

    Args:
        problems: Rows of `upload_errors`.
        staged: The rows of the upload; none if they were swept.
    """
    field = pl.col("path").str.extract(_FIELD_AT_END)
    rows = problems.with_row_index("_place").with_columns(field.alias("_field"))
    # One join a field: a column of values of several types could not be built.
    parts = [
        _values_of_field(group, staged, str(name))
        for (name,), group in rows.partition_by("_field", as_dict=True).items()
        if name is not None
    ]
    schema = {"_place": pl.get_index_type(), "value": pl.String()}
    values = pl.concat([pl.DataFrame(schema=schema), *parts])
    placed = rows.join(values, on="_place", how="left", maintain_order="left")
    at = problems.get_column_index("path") + 1
    names = problems.columns
    return placed.select(*names[:at], "value", *names[at:])


def _values_of_field(
    problems: pl.DataFrame, staged: Operations, name: str
) -> pl.DataFrame:
    """The JSON of a field for each problem with it: `_place`, `value`."""
    parts: list[pl.DataFrame] = []
    for rows, key, is_label in (
        (staged.frames, ["frame_id"], False),
        (staged.labels, _KEY, True),
    ):
        of_table = problems.filter(
            pl.col("path").str.starts_with("labels[") == is_label
        )
        if not of_table.height or not rows.height:
            continue
        known = [one for one in (name, MIXED + name, SENT) if one in rows.columns]
        once = rows.select(*key, *(pl.col(one).alias(f"_{one}") for one in known))
        joined = of_table.join(
            # A key that was sent twice has one problem for both; the first is shown.
            once.unique(key, keep="first"),
            on=key,
            how="inner",
            nulls_equal=True,
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
    """The value sent in a field: from the kept original, or as it was read.

    The original row is kept where it could not be read (`SENT`), the text of a value
    where the values of its field have several types (`MIXED`).
    """
    if (sent := row.get(f"_{SENT}")) is not None:
        value = json.loads(sent).get(name)
    elif (text := row.get(f"_{MIXED}{name}")) is not None:
        return str(text)
    else:
        value = row.get(f"_{name}")
    if value is None:
        return None
    return as_text(json.dumps(value, default=str, ensure_ascii=False))
