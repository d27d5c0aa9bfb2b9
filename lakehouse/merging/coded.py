"""Classes as codes: each name is looked up and hashed once, not once a label."""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from lakehouse.merging.row_hash import row_sums
from lakehouse.model.label_types import MASK_CLASS

__all__ = ["ClassCodes"]

_NO_ID = -1


class ClassCodes:
    """What labels may be of, in order: the known classes, whole masks, nothing.

    >>> classes = ClassCodes({"bike": 7, "car": 8})
    >>> codes = classes.of(pl.Series(["car", None, "car"]))
    >>> codes.tolist()
    [1, 3, 1]
    >>> classes.column(classes.ids[codes]).to_list()
    [8, None, 8]
    """

    def __init__(self, class_ids: Mapping[str, int]) -> None:
        known = [*dict.fromkeys([*class_ids, MASK_CLASS])]
        names = pl.Series("class_name", [*known, None], dtype=pl.String)
        ids = pl.Series("class_id", [*map(class_ids.get, known), None], dtype=pl.Int64)
        self._class_ids = [(name, class_ids.get(name)) for name in known]
        self._dtype = pl.Enum(known)
        self.ids = ids.fill_null(_NO_ID).to_numpy()
        """The id of the class of each code."""
        self.name_lanes = row_sums(names.to_frame(), ["class_name"])
        """What `class_name` adds to the hash of a row; by code."""
        self.id_lanes = row_sums(ids.to_frame(), ["class_id"])
        """What `class_id` adds to it."""

    def of(self, names: pl.Series) -> npt.NDArray[np.int64] | None:
        """The code of each label's class, by its name; None if one is unknown."""
        coded = names.cast(self._dtype, strict=False)
        if coded.null_count() > names.null_count():
            return None
        nothing = len(self._class_ids)
        return coded.to_physical().cast(pl.Int64).fill_null(nothing).to_numpy()

    def named(self, codes: Collection[int]) -> dict[str, int]:
        """The classes with some codes, where they have an id."""
        return {
            name: number
            for code, (name, number) in enumerate(self._class_ids)
            if code in codes and number is not None
        }

    def column(self, ids: npt.NDArray[np.int64]) -> pl.Series:
        """Ids as the column `class_id`, null where there is none."""
        made = pl.Series("class_id", ids)
        if ids.size and ids.min() == _NO_ID:
            return made.set(made == _NO_ID, None)
        return made
