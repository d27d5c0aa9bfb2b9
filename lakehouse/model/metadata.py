"""Types of user metadata: text, whole numbers, floats, truth values, lists of them.

A field's type is fixed by its first value, or declared; whole numbers may enter
a float field, nothing else is converted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from lakehouse.errors import InvalidInputError

PREFIX: Final = "user__"
"""What metadata columns start with."""

_SCALARS: Final[dict[str, pl.DataType]] = {
    "str": pl.String(),
    "int": pl.Int64(),
    "float": pl.Float64(),
    "bool": pl.Boolean(),
}


@dataclass(frozen=True, slots=True)
class MetadataType:
    """The type of one metadata field."""

    element: str
    """str, int, float or bool."""
    is_list: bool = False
    """Whether the field holds a list of elements."""

    @property
    def name(self) -> str:
        """Its name: `int`, `list[int]` and so on."""
        return f"list[{self.element}]" if self.is_list else self.element

    @property
    def dtype(self) -> pl.DataType:
        """The type of its column."""
        scalar = _SCALARS[self.element]
        return pl.List(scalar) if self.is_list else scalar

    @classmethod
    def from_name(cls, name: str) -> "MetadataType":
        """The type of that name.

        Raises:
            InvalidInputError: If there is no such type.

        >>> MetadataType.from_name("list[str]").dtype
        List(String)
        """
        inner = name.removeprefix("list[").removesuffix("]")
        made = cls(inner, is_list=name.startswith("list["))
        if inner not in _SCALARS or made.name != name:
            raise InvalidInputError(
                f"{name!r} is not a metadata type. It is one of {', '.join(_SCALARS)}, or "
                "list[…] of one of them.",
                kind="metadata.unknown_type",
            )
        return made

    @classmethod
    def from_dtype(cls, dtype: pl.DataType) -> "MetadataType | None":
        """The type of a column, or None when metadata cannot have it."""
        is_list = isinstance(dtype, pl.List)
        scalar = dtype.inner if isinstance(dtype, pl.List) else dtype
        for element, known in _SCALARS.items():
            if scalar == known:
                return cls(element, is_list=is_list)
        return None


def metadata_columns(fields: Mapping[str, str] | None) -> dict[str, pl.DataType]:
    """Declared metadata fields as columns.

    Args:
        fields: Field to type name, the prefix left out or not.

    Raises:
        InvalidInputError: If there is no such type.

    >>> metadata_columns({"split": "str"})
    {'user__split': String}
    """
    return {
        name if name.startswith(PREFIX) else f"{PREFIX}{name}": (
            MetadataType.from_name(type_name).dtype
        )
        for name, type_name in (fields or {}).items()
    }
