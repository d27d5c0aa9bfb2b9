"""Types of user metadata: text, whole numbers, floats, truth values, lists of them.

A field's type is fixed by its first value, or declared; whole numbers may enter
a float field, nothing else is converted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.model.ids import NAME_PATTERN
from lakehouse.model.problems import Problems

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
    def from_name(cls, name: object) -> "MetadataType":
        """The type of that name.

        Raises:
            InvalidInputError: If there is no such type.

        >>> MetadataType.from_name("list[str]").dtype
        List(String)
        """
        text = name if isinstance(name, str) else ""
        inner = text.removeprefix("list[").removesuffix("]")
        made = cls(inner, is_list=text.startswith("list["))
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
    columns: dict[str, pl.DataType] = {}
    spellings: dict[str, str] = {}
    problems = Problems()
    for name, type_name in (fields or {}).items():
        column = field_column(name)
        if problem := _declaration_problem(column, type_name, spellings):
            problems.add(
                f"metadata[{name!r}]",
                rule=problem[0],
                message=problem[1],
                hint=f"Fields are called {PREFIX}<name>, of letters, digits and "
                f"underscores; types are {', '.join(_SCALARS)}, or list[…] of one.",
            )
            continue
        spellings[str(column).lower()] = str(name)
        columns[str(column)] = MetadataType.from_name(type_name).dtype
    problems.raise_if_any()
    return columns


def field_column(name: object) -> str | None:
    """The column of a field, the prefix given or not; None if it cannot be one.

    >>> field_column("split"), field_column("user__split"), field_column("my split")
    ('user__split', 'user__split', None)
    """
    if not isinstance(name, str):
        return None
    field = name.removeprefix(PREFIX)
    return f"{PREFIX}{field}" if re.fullmatch(NAME_PATTERN, field) else None


def _declaration_problem(
    column: str | None, type_name: object, spellings: Mapping[str, str]
) -> tuple[str, str] | None:
    """Rule and message of what is wrong with a declared field."""
    if column is None:
        return "metadata.name", "This cannot be the name of a field."
    if other := spellings.get(column.lower()):
        return (
            "metadata.spelling",
            f"It is the same field as {other!r}: names differ in more than case.",
        )
    try:
        MetadataType.from_name(type_name)
    except InvalidInputError as error:
        return "metadata.unknown_type", str(error)
    return None
