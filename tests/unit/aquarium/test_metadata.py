"""Dates, devices, places and user metadata of a frame."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import lakehouse
import lakehouse.aquarium as al


def test_every_type_of_metadata_is_read_back(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    new = frame(date_captured="2023-08-01T12:00:00Z", device_id="cam0")
    new.add_geo_latlong_data(37.5, -122.25)
    sent: dict[str, Any] = {"text": "a", "whole": 3, "number": 2.5, "night": False}
    for key, value in sent.items():
        new.add_user_metadata(key, value)
    new.add_user_metadata_list("tags", ["a", "b"])
    new.add_user_metadata_list("sizes", (1.0, 2.5))
    new.add_user_metadata_list("none", [], "int")

    bench.send(new)

    table = bench.frames()
    (row,) = table.to_dicts()
    assert {key: row[f"user__{key}"] for key in sent} == sent
    assert (row["user__tags"], row["user__sizes"]) == (["a", "b"], [1.0, 2.5])
    assert table.schema["user__none"] == pl.List(pl.Int64)
    assert (row["latitude"], row["longitude"]) == (37.5, -122.25)
    assert (row["date_captured"].isoformat(), row["device_id"]) == (
        "2023-08-01T12:00:00+00:00",
        "cam0",
    )


def test_a_field_set_twice_has_the_last_value(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    new = frame()
    new.add_user_metadata("split", "train")
    new.add_user_metadata("split", "test")

    bench.send(new)

    assert bench.frames()["user__split"].to_list() == ["test"]


def test_a_none_needs_a_type_and_changes_nothing(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    new = frame()
    new.add_user_metadata("split", "train")
    bench.send(new)
    change = al.LabeledFrame(frame_id="f", update_type="MODIFY")
    change.add_user_metadata("split", None, "str")

    bench.client.update_dataset_frames("p", "d", [change])

    assert bench.frames()["user__split"].to_list() == ["train"]
    with pytest.raises(lakehouse.InvalidInputError, match="declare its type"):
        change.add_user_metadata("split", None)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("add_user_metadata", ("no spaces", 1)),
        ("add_user_metadata", ("a", {"b": 1})),
        ("add_user_metadata", ("a", float("inf"))),
        ("add_user_metadata", ("a", 1, "float")),
        ("add_user_metadata", ("a", True, "int")),
        ("add_user_metadata", ("a", 1, "number")),
        ("add_user_metadata", ("a", [1])),
        ("add_user_metadata_list", ("a", 1)),
        ("add_user_metadata_list", ("a", [1, "b"])),
        ("add_user_metadata_list", ("a", [])),
        ("add_geo_latlong_data", ("north", 1.0)),
    ],
)
def test_invalid_metadata_are_refused_at_the_call(
    frame: Callable[..., al.LabeledFrame], verb: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(lakehouse.InvalidInputError):
        getattr(frame(), verb)(*arguments)


NAMED: dict[str, Any] = {"frame_id": "f"}


@pytest.mark.parametrize(
    "options",
    [
        {"frame_id": ""},
        {"frame_id": "a,b"},
        {"update_type": "PATCH"},
        {"date_captured": "x"},
    ],
)
def test_a_frame_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(lakehouse.InvalidInputError):
        al.LabeledFrame(**{**NAMED, **options})


def test_metadata_of_many_frames_change_by_key(
    bench: Any, frame: Callable[..., al.LabeledFrame]
) -> None:
    for name in ("a", "b"):
        new = frame(name)
        new.add_user_metadata("split", "train")
        new.add_user_metadata_list("tags", ["x"])
        bench.send(new)

    upload = bench.client.update_frames_metadata(
        "p", "d", {"a": {"split": "test", "reviewed": True}, "none": {"split": "x"}}
    )

    rows = bench.frames().select("user__split", "user__tags", "user__reviewed").rows()
    assert rows == [("test", ["x"], True), ("train", ["x"], None)]
    assert upload.errors().select("frame_id", "severity").rows() == [
        ("none", "warning")
    ]


@pytest.mark.parametrize("fields", [{"split": 1}, {"split": ["a"]}, {"tags": "a"}])
def test_metadata_of_another_type_are_refused(
    bench: Any, frame: Callable[..., al.LabeledFrame], fields: dict[str, Any]
) -> None:
    new = frame()
    new.add_user_metadata("split", "train")
    new.add_user_metadata_list("tags", ["x"])
    bench.send(new)

    with pytest.raises(lakehouse.InvalidInputError):
        bench.client.update_frames_metadata("p", "d", {"f": fields})
