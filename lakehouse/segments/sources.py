"""From a snapshot, and ids or rows, to the keys of elements."""

from typing import Final

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.replay import content
from lakehouse.segments.refs import ElementLike, key_of, meant, refs_of
from lakehouse.snapshot import Snapshot
from lakehouse.storage import collect

__all__ = ["given_of", "keys_in"]

_KINDS: Final = {"label": "dataset", "inference": "inference_set"}


def given_of(
    element_type: str,
    *,
    frames: ElementLike | None,
    labels: ElementLike | None,
    inferences: ElementLike | None,
) -> ElementLike | None:
    """Those of the arguments that are of the segment's kind; None if none were given.

    Raises:
        InvalidInputError: If others were given.
    """
    given = {"frame": frames, "label": labels, "inference": inferences}
    others = [
        f"{kind}s="
        for kind, value in given.items()
        if value is not None and kind != element_type
    ]
    if others:
        raise InvalidInputError(
            f"The segment holds {element_type}s, and {' and '.join(others)} was given. "
            f"Pass {element_type}s=, or create a segment of the other element type.",
            kind="segment.element_type",
        )
    return given[element_type]


def keys_in(
    snapshot: Snapshot, element_type: str, given: ElementLike | None, *, where: str
) -> pl.DataFrame:
    """The keys of elements in a snapshot.

    Args:
        snapshot: Where they are looked for.
        element_type: frame, label or inference.
        given: Ids, or rows with ids; None for all that the snapshot holds.
        where: The snapshot, in words.

    Raises:
        InvalidInputError: If the snapshot holds no such elements at all, or not
            all that are given; all that are missing are listed.
    """
    _check_kind(snapshot, element_type, where)
    key = key_of(element_type)
    if given is None:
        return collect(_keys(snapshot, element_type, None))
    refs = refs_of(given, element_type)
    refs = refs.select(name for name in refs.columns if name in key).unique(
        maintain_order=True
    )
    frames = refs.get_column("frame_id") if "frame_id" in refs.columns else None
    rows = _keys(snapshot, element_type, frames)
    there = collect(rows.join(refs.lazy(), on=refs.columns, how="semi"))
    return meant(
        refs,
        there,
        element_type,
        where=where,
        known=lambda: collect(
            _keys(snapshot, element_type, frames if len(key) > 1 else None)
        ),
    )


def _keys(
    snapshot: Snapshot, element_type: str, frames: pl.Series | None
) -> pl.LazyFrame:
    """The keys that a snapshot holds, of some frames or of all."""
    key = key_of(element_type)
    if snapshot.is_filtered:
        rows = snapshot.frames() if element_type == "frame" else snapshot.labels()
        return rows.select(key)
    table = "frames" if element_type == "frame" else "labels"
    keys = None if frames is None else frames.unique()
    version = snapshot.read_version
    return content(snapshot.collection, table, version, keys=keys, columns=key)


def _check_kind(snapshot: Snapshot, element_type: str, where: str) -> None:
    wanted = _KINDS.get(element_type)
    if wanted is None or snapshot.collection.layout.kind == wanted:
        return
    raise InvalidInputError(
        f"There are no {element_type}s in {where}: labels are in datasets, inferences "
        "in inference sets.",
        kind="segment.source",
    )
