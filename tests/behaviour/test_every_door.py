"""Every door has the same rules and says the same words.

The same rows are sent as dicts, DataFrames, Arrow tables (which pandas hands out too),
DuckDB results, and files; tables and problems must be those of the dicts.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

import lakehouse
from tests.rows import frame

Rows = Sequence[Mapping[str, Any]]


def _polars(rows: Rows, _: Path) -> pl.DataFrame:
    return pl.DataFrame(list(rows), infer_schema_length=None)


def _categorical(rows: Rows, folder: Path) -> pl.DataFrame:
    return _polars(rows, folder).with_columns(pl.col(pl.String).cast(pl.Categorical))


def _arrow(rows: Rows, folder: Path) -> pa.Table:
    return _polars(rows, folder).to_arrow()


def _duckdb(rows: Rows, folder: Path) -> Any:
    sent = _arrow(rows, folder)
    return duckdb.connect().from_arrow(sent)


def _parquet(rows: Rows, folder: Path) -> Path:
    path = folder / "rows.parquet"
    _polars(rows, folder).write_parquet(path)
    return path


def _jsonl(rows: Rows, folder: Path) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(dict(row)) + "\n" for row in rows))
    return path


def _csv(rows: Rows, folder: Path) -> Path:
    path = folder / "rows.csv"
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def _iterator(rows: Rows, _: Path) -> Any:
    return iter(rows)


DOORS: dict[str, Callable[[Rows, Path], Any]] = {
    "iterator": _iterator,
    "polars": _polars,
    "categorical": _categorical,
    "arrow": _arrow,
    "duckdb": _duckdb,
    "parquet": _parquet,
    "jsonl": _jsonl,
    "csv": _csv,
}


def answer(dataset: lakehouse.Dataset, rows: Any) -> tuple[Any, ...]:
    """What a call answers: its rows, and its problems in their words."""
    try:
        upload = dataset.add(rows)
    except lakehouse.InvalidInputError as error:
        return ("refused", sorted(map(str, error.problems)))
    problems = upload.errors().filter(severity="error")
    problems = problems.select("frame_id", "path", "rule", "message")
    landed = dataset.latest().frames().collect()
    user = sorted(name for name in landed.columns if name.startswith("user__"))
    kept = landed.select("frame_id", "image_url", *user).sort("frame_id")
    return (upload.status, kept.rows(named=True), sorted(problems.rows()))


LATIN = st.text(st.characters(codec="latin-1"), max_size=4)
IDS = st.text("abZ019_-é. \t\n/写\x00", max_size=3) | LATIN
WHOLE = st.sampled_from([0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1])
NULLED = st.lists(st.none() | st.integers(0, 1), max_size=3)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "user__n": WHOLE,
    "user__list": NULLED,
    "user__text": st.text("abc", min_size=1, max_size=2),
    "width": WHOLE,
    "latitude": st.sampled_from([0.5, 91.0]),
}


@st.composite
def same_typed_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows that every door can carry: each column has values of one type."""
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), unique=True, max_size=3))
    ids = draw(st.lists(IDS, min_size=1, max_size=3))
    return [
        frame(frame_id) | {name: draw(FIELDS[name]) for name in names}
        for frame_id in ids
    ]


@given(same_typed_rows(), st.sampled_from(sorted(DOORS)))
def test_the_same_rows_are_the_same_table_and_the_same_problems(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], door: str
) -> None:
    folder = tmp_path_factory.mktemp("door")
    project = lakehouse.connect(folder / "lake").create_project("p", classes=["cell"])
    try:
        sent = DOORS[door](rows, folder)
    except (pl.exceptions.PolarsError, TypeError, OverflowError, ModuleNotFoundError):
        return  # this door cannot carry the rows at all
    if door == "csv" and any(
        isinstance(value, list) or (isinstance(value, str) and value != value.strip())
        for row in rows
        for value in row.values()
    ):
        return  # CSV has neither lists nor empty texts

    by_dicts = answer(project.create_dataset("dicts"), rows)
    by_door = answer(project.create_dataset("door"), sent)

    assert by_door == by_dicts


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.True_, True),
        (np.str_("a"), "a"),
        (np.array(4), 4),
        (Decimal("1.5"), 1.5),
        (PurePosixPath("a/b.png"), "a/b.png"),
        (np.array([1, 2]), [1, 2]),
        ([np.float32(0.5), 1.5], [0.5, 1.5]),
        ([None, 1], [None, 1]),
        (float("nan"), None),
    ],
)
def test_values_of_libraries_are_taken_as_what_they_stand_for(
    dataset: lakehouse.Dataset, value: Any, plain: Any
) -> None:
    upload = dataset.add([frame("f1", user__x=value, user__y=1)])

    assert upload.status == "DONE"
    assert dataset.latest().frame("f1")[0].get("user__x") == plain


def test_one_value_that_does_not_fit_is_one_problem(
    project: lakehouse.Project, dataset: lakehouse.Dataset
) -> None:
    dataset.add([frame("f1")])
    label = {"frame_id": "f1", "label_id": "a", "class_name": "cell"}
    box = {"top": 1, "left": 1, "width": 3, "height": 3}

    upload = dataset.upsert_labels([label | box | {"width": "wide"}])

    problems = upload.errors()
    assert problems["rule"].to_list() == ["value.type"]
    assert "'wide' is not a number" in problems["message"][0]


def test_whole_numbers_beyond_64_bits_reject_their_frames_alone(
    dataset: lakehouse.Dataset,
) -> None:
    for number, value in enumerate([2**63, 2**70, -(2**70), 10**400]):
        for field in ("user__x", "width", "latitude"):
            upload = dataset.add(
                [
                    frame(f"good{number}{field}", user__x=1),
                    frame("bad") | {field: value, "longitude": 1.0},
                ]
            )
            assert upload.status == "PARTIAL"
            assert f"frames['bad'].{field}" in set(upload.errors()["path"])
    column = pl.DataFrame([frame("a", user__u=1), frame("b", user__u=2**64 - 1)])
    assert dataset.add(column).errors()["path"].to_list() == ["frames['b'].user__u"]


def test_a_second_spelling_of_a_field_is_rejected(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1", user__score=1)])

    later = dataset.add([frame("f2", user__Score=2), frame("f3")])
    at_once = dataset.add([frame("f4", user__New=1), frame("f5", user__new=1)])

    assert (later.status, at_once.status) == ("PARTIAL", "PARTIAL")
    hints = [*later.errors()["hint"], *at_once.errors()["hint"]]
    assert hints == ["Did you mean user__score?", "Did you mean user__New?"]
    names = [name.lower() for name in dataset.latest().frames().collect().columns]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "fields",
    [
        {"A": "int", "a": "int"},
        {"a": "str", "user__a": "int"},
        {"my field": "str"},
        {"": "str"},
        {5: "str"},
        {"a": None},
    ],
)
def test_declared_fields_that_no_table_can_hold_are_refused(
    project: lakehouse.Project, fields: Any
) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match="metadata"):
        project.create_dataset("new", frame_metadata=fields)


@pytest.mark.parametrize("zero", [[0, 1], [0.0, 1.0], [False, True]])
def test_nulls_in_lists_are_kept_and_are_no_zeros(
    dataset: lakehouse.Dataset, zero: list[Any]
) -> None:
    nulled = [None, zero[1]]
    dataset.add([frame("f1", user__n=zero)])

    upload = dataset.add(pl.DataFrame([frame("f1", user__n=nulled)]))

    assert upload.counts["replaced"] == 1
    assert dataset.latest().frame("f1")[0]["user__n"] == nulled


DEEP = "[" * 10_000 + "]" * 10_000
STRANGE: dict[str, Any] = {
    "surrogate": {"device_id": "\udc00"},
    "surrogate in metadata": {"user__x": "\udc00"},
    "surrogate in a sensor": {
        "image_url": None,
        "sensors": [{"sensor_id": "s", "image_url": "\udc00"}],
    },
    "set": {"user__x": {1}},
    "deep": {"sensors": DEEP},
    "bytes": {"image_url": b"a"},
    "object": {"user__x": object()},
    "date": {"date_captured": 5},
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_values_reject_their_frames_alone(
    dataset: lakehouse.Dataset, name: str
) -> None:
    upload = dataset.add([frame("good"), frame("bad") | STRANGE[name]])

    errors = upload.errors().filter(severity="error")
    assert upload.status == "PARTIAL"
    assert set(errors["frame_id"]) == {"bad"}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.jsonl", b'{"frame_id": "a"}\n{"frame_id":\n', "a.jsonl:2"),
        ("a.jsonl", b"[1]\n5\nnull\n", "a.jsonl:3"),
        ("a.jsonl", b'{"frame_id": "a"}\n' + DEEP.encode(), "a.jsonl:2"),
        ("a.jsonl", b'{"frame_id": ' + b"1" * 5000 + b"}", "a.jsonl:1"),
        ("a.jsonl", b'{"frame_id": "a"}\n{"frame_id": "\xe9"}', "line 2 is not UTF-8"),
        ("a.jsonl", '{"frame_id": "a"}'.encode("utf-16"), "UTF-16"),
        ("a.json", b"{", "a.json"),
        ("a.json", b"[1]", r"a.json\[0\]"),
        ("a.json", DEEP.encode(), "a.json"),
        ("a.csv", b"", "empty"),
        ("a.csv", b"frame_id,image_url\na,b\nc,d,e\n", "line 3 has 3 fields"),
        ("a.csv", b"frame_id,image_url\na,\xe9\n", "line 2 is not UTF-8"),
        ("a.csv", b"frame_id;image_url\na;b\n", "semicolon"),
        ("a.parquet", b"no parquet", "a.parquet"),
        ("a.parquet", b"", "a.parquet"),
    ],
)
def test_malformed_files_are_named_with_their_line(
    dataset: lakehouse.Dataset, tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(data)

    with pytest.raises(lakehouse.InvalidInputError, match=f"(?i){words}"):
        dataset.add(tmp_path / name)


def test_ids_in_csv_files_keep_their_zeros(
    dataset: lakehouse.Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfframe_id,image_url,user__n\n0001,1,2\n")

    dataset.add(path)

    row = dataset.latest().frame("0001")[0]
    assert (row["image_url"], row["user__n"]) == ("1", 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"message": "\udc00"}, "message"),
        ({"metadata": {"a": {1}}}, "metadata"),
        ({"metadata": {"a": "\udc00"}}, "metadata"),
    ],
)
def test_circumstances_that_cannot_be_stored_are_refused_by_name(
    dataset: lakehouse.Dataset, options: Any, words: str
) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match=f"  {words}: "):
        dataset.add([frame("f1")], **options)
    assert dataset.latest().version == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"polygons": [[]]},
        {"polygons": [[[1, 1]]]},
        {"polygons": [[[1, 1], [2, 2]]]},
        {"links": '{"a": NaN}', "polygons": [[[0, 0], [4, 0], [4, 4]]]},
    ],
)
def test_shapes_and_links_that_no_reader_takes_are_one_problem_of_their_frame(
    dataset: lakehouse.Dataset, fields: dict[str, Any]
) -> None:
    label = {"frame_id": "f1", "label_id": "a", "class_name": "cell"}

    upload = dataset.add([frame("f1"), frame("f2")], [label | fields])

    errors = upload.errors()
    assert (upload.status, errors["rule"].to_list()) == ("PARTIAL", ["value.type"])


def test_a_new_field_of_1_and_1_5_is_one_of_floats(dataset: lakehouse.Dataset) -> None:
    upload = dataset.add([frame("a", user__x=1), frame("b", user__x=1.5)])

    assert upload.status == "DONE"
    assert dataset.latest().frame("a")[0]["user__x"] == 1.0


def test_ids_repeated_without_end_have_a_short_message(
    dataset: lakehouse.Dataset,
) -> None:
    with pytest.raises(lakehouse.InvalidInputError) as raised:
        dataset.add(pl.DataFrame({"frame_id": ["a"] * 10_000}))

    assert len(str(raised.value)) < 1_000


def test_sizes_that_no_image_has_are_refused(dataset: lakehouse.Dataset) -> None:
    upload = dataset.add([frame("a", width=2**31), frame("b", width=10)])

    assert upload.errors()["path"].to_list() == ["frames['a'].width"]
