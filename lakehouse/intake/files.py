"""Tables in files: .parquet, .csv, .json and .jsonl.

A file that cannot be read is refused with its name and line, all bad lines at
once; no exception of Polars or of json crosses the door.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.errors import InvalidInputError
from lakehouse.intake.plain import as_text
from lakehouse.model.contracts import contract, contract_names
from lakehouse.model.problems import Problems

LIBRARY_ERRORS: Final = (
    ValueError,
    TypeError,
    RecursionError,
    csv.Error,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)
"""What json, csv and Polars raise for files that they cannot read."""

_MOST_LISTED: Final = 1_000  # lines: a wrong file is wrong in each of millions
_BOM: Final = b"\xef\xbb\xbf"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_SAVE_AS_UTF_8: Final = "Save the file as UTF-8."


def read_parquet(path: Path) -> pl.DataFrame:
    """The rows of a Parquet file.

    Raises:
        InvalidInputError: If it cannot be read.
    """
    try:
        return pl.read_parquet(path)
    except LIBRARY_ERRORS as error:
        raise unreadable(
            path, f"it is no Parquet file ({first_line(error)})"
        ) from error


def read_csv(path: Path) -> pl.DataFrame:
    """The rows of a CSV file; ids, classes and URLs are text, whatever they look like.

    Raises:
        InvalidInputError: If it cannot be read.
    """
    data = path.read_bytes()
    _require_utf8(path, data)
    if problem := _separator_problem(data):
        raise unreadable(path, problem, "Save it with commas.")
    try:
        return pl.read_csv(
            data, infer_schema_length=None, schema_overrides=csv_types(data)
        )
    except LIBRARY_ERRORS as error:
        raise _csv_error(path, data, error) from error


def csv_types(data: bytes) -> dict[str, pl.DataType]:
    """The columns of a CSV file whose type is known to be text."""
    header = data.removeprefix(_BOM).partition(b"\n")[0].decode(errors="replace")
    names = next(csv.reader([header.rstrip("\r")]), [])
    return {name: pl.String() for name in names if name in text_columns()}


def _separator_problem(data: bytes) -> str | None:
    """Why a header of one column is no header: fields are separated otherwise."""
    header = data.removeprefix(_BOM).partition(b"\n")[0].decode()
    if "," in header:
        return None
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if separator in header:
            return f"line 1 has fields separated by {name}, not commas"
    return None


@cache
def text_columns() -> frozenset[str]:
    """The columns of frames and labels that hold text."""
    return frozenset(
        column
        for name in contract_names()
        for column, dtype in contract(name).schema().items()
        if dtype == pl.String
    )


def read_json(path: Path) -> list[Mapping[str, Any]]:
    """The rows of a file with one JSON object, or a list of them.

    Raises:
        InvalidInputError: If it is something else.
    """
    data = path.read_bytes()
    _require_utf8(path, data)
    try:
        parsed = json.loads(data.removeprefix(_BOM))
    except LIBRARY_ERRORS as error:
        raise unreadable(path, f"it is no JSON ({first_line(error)})") from error
    rows = parsed if isinstance(parsed, list) else [parsed]
    problems = Problems()
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            _add_line(problems, f"{path}[{place}]", f"{type(row).__name__}, no object")
    problems.raise_if_any(_lead(path))
    return rows


def read_lines(path: Path) -> list[Mapping[str, Any]]:
    """The rows of a file with one JSON object a line.

    Raises:
        InvalidInputError: If a line is none; all such lines are listed.
    """
    data = path.read_bytes()
    _require_utf8(path, data)
    rows: list[Mapping[str, Any]] = []
    problems = Problems()
    number_of_bad = 0
    for number, line in _lines(data):
        row, problem = json_object_of(line)
        if row is not None:
            rows.append(row)
            continue
        number_of_bad += 1
        if number_of_bad <= _MOST_LISTED:
            _add_line(problems, f"{path}:{number}", problem)
    problems.count_more(number_of_bad - _MOST_LISTED)
    problems.raise_if_any(_lead(path))
    return rows


def json_object_of(line: bytes) -> tuple[dict[str, Any] | None, str]:
    """A line as an object; or None, and why it is none."""
    try:
        row = json.loads(line)
    except RecursionError:
        return None, "it is nested too deeply"
    except LIBRARY_ERRORS as error:
        return None, f"no JSON: {first_line(error)}"
    if isinstance(row, dict):
        return row, ""
    return None, f"{type(row).__name__}, no object"


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    # Only line feeds end lines: JSON texts may hold other separators.
    for number, line in enumerate(data.removeprefix(_BOM).split(b"\n"), 1):
        if line.strip():
            yield number, line


def _add_line(problems: Problems, place: str, problem: str) -> None:
    problems.add(
        place,
        rule="input.no_object",
        message=f"This row is {problem}." if "no object" in problem else f"{problem}.",
        hint="Each row is one JSON object.",
    )


def _require_utf8(path: Path, data: bytes) -> None:
    if not data.removeprefix(_BOM).strip():
        raise unreadable(path, "it is empty", "Give a file with rows.")
    if data.startswith(_UTF_16):
        raise unreadable(path, "it is UTF-16", _SAVE_AS_UTF_8)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise unreadable(
            path,
            f"line {line} is not UTF-8 (byte {data[error.start]:#04x})",
            _SAVE_AS_UTF_8,
        ) from None


def _csv_error(path: Path, data: bytes, error: BaseException) -> InvalidInputError:
    """What is wrong with a CSV file, by a second and slower reading."""
    text = data.removeprefix(_BOM).decode()
    reader = csv.reader(text.splitlines(keepends=True))
    try:
        width = len(next(reader))
        for row in reader:
            if row and len(row) != width:
                return unreadable(
                    path,
                    f"line {reader.line_num} has {len(row)} fields, and the header has "
                    f"{width}",
                    "Put text with commas into double quotes.",
                )
    except csv.Error as broken:
        return unreadable(path, f"line {reader.line_num}: {broken}")
    return unreadable(path, f"it is no CSV ({first_line(error)})")


def unreadable(path: Path | str, why: str, hint: str = "") -> InvalidInputError:
    """The error of a file that is not what its name says."""
    return InvalidInputError(
        f"{_lead(path)} {as_text(why[:1].upper() + why[1:])}. {hint}".rstrip(),
        kind="input.unreadable",
    )


def first_line(error: BaseException) -> str:
    """The first line of a library's message, cut to a readable length."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _lead(path: Path | str) -> str:
    return f"Nothing was written: {path} cannot be read."
