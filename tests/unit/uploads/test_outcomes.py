"""What failed is told frame by frame, downloaded whole, and says what to send again."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import lakehouse
import lakehouse.aquarium as al
from lakehouse.cli import app
from tests.rows import box, frame

GOOD = [frame("f1"), frame("f2"), frame("f3"), frame("f4")]
REASONS = {
    "f1": ("value.range", "frames['f1'].latitude", "91.0"),
    "f3": ("box.degenerate", "labels['c'].width", "0.0"),
    "f4": ("class.unknown", "labels['d'].class_name", '"célery, or so"'),
}
"""Each bad frame, with the rule, the place and the value."""


@pytest.fixture
def partial(dataset: lakehouse.Dataset) -> lakehouse.Upload:
    """Of four frames, three are at fault, each in its own way."""
    return dataset.add(
        [frame("f1", latitude=91.0, longitude=0.0), *GOOD[1:]],
        [
            box("f1", "a"),
            box("f2", "b"),
            box("f3", "c", width=0.0),
            box("f4", "d", class_name="célery, or so"),
            box("f4", "e"),
        ],
    )


def downloaded(lake: lakehouse.Lake, upload: lakehouse.Upload, out: Path) -> None:
    place = ["upload", "errors", "cells/hela", upload.id, "-o", str(out)]
    result = CliRunner().invoke(app, ["--root", lake.root, *place])
    assert result.exit_code == 0, result.output


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of errors."""
    if path.suffix == ".csv":
        return pl.read_csv(path, infer_schema=False).to_dicts()
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return list(json.loads(text))
    return [json.loads(line) for line in text.splitlines()]


# ----------------------------------- COUNTS ------------------------------------ #


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("bad", [False, True])
def test_counts_are_of_what_was_sent_whatever_its_outcome(
    project: lakehouse.Project, dataset: lakehouse.Dataset, *, frames: int, bad: bool
) -> None:
    ids = [f"f{n}" for n in range(frames)]
    width = 0.0 if bad else 1.0
    boxes = [box(one, f"{one}_{n}", width=width) for one in ids for n in range(2)]
    model = dataset.create_inference_set("model_a")
    labelled = dataset.add([frame(one) for one in ids], boxes)
    guessed = model.add([one | {"confidence": 0.5} for one in boxes[:-1]])

    rows = project.uploads().select("upload_id", "frame_count", "label_count").rows()

    assert rows == [
        (guessed.id, frames, 2 * frames - 1),
        (labelled.id, frames, 2 * frames),
    ]
    assert (labelled.frame_count, labelled.label_count) == (frames, 2 * frames)
    assert labelled.items().height == 3 * frames


def test_items_are_the_frames_and_inferences_sent_and_no_others(
    dataset: lakehouse.Dataset,
) -> None:
    dataset.add(GOOD)
    model = dataset.create_inference_set("model_a")
    model.add([box("f1", "before", confidence=0.5)])

    sent = model.add(
        [box("f2", "y", confidence=0.5), box("f3", "x", confidence=0.5)], frames=["f4"]
    )

    assert sent.items().select("frame_id", "label_id").rows() == [
        ("f2", None),
        ("f2", "y"),
        ("f3", None),
        ("f3", "x"),
        ("f4", None),
    ]


# ----------------------------------- ERRORS ------------------------------------ #


def test_each_bad_frame_is_named_with_the_right_reason(
    lake: lakehouse.Lake, partial: lakehouse.Upload
) -> None:
    problems = partial.errors().select("frame_id", "rule", "path", "value").rows()
    logs = al.Client(api_endpoint=lake.root).get_dataset_ingest_error_logs(
        "cells", "hela"
    )

    assert {frame_id: tuple(reason) for frame_id, *reason in problems} == REASONS
    assert len(problems) == len(REASONS)
    assert {log["frame_id"]: log["rule"] for log in logs} == {
        frame_id: rule for frame_id, (rule, *_) in REASONS.items()
    }
    assert partial.errors()["message"].str.len_chars().min() != 0


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl"])
def test_a_download_has_the_rows_that_errors_has(
    lake: lakehouse.Lake, partial: lakehouse.Upload, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"errors.{ending}"

    downloaded(lake, partial, out)

    assert read(out) == partial.errors().to_dicts()


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl"])
def test_the_frames_of_a_download_are_those_to_send_again(
    lake: lakehouse.Lake,
    dataset: lakehouse.Dataset,
    partial: lakehouse.Upload,
    tmp_path: Path,
    ending: str,
) -> None:
    out = tmp_path / f"errors.{ending}"
    downloaded(lake, partial, out)
    again = al.LabeledDataset()
    for frame_id in sorted({row["frame_id"] for row in read(out)}):
        mended = al.LabeledFrame(frame_id=frame_id)
        mended.add_image(image_url=f"{frame_id}.png")
        again.add_frame(mended)

    client = al.Client(api_endpoint=lake.root)
    sent = client.create_or_update_dataset("cells", "hela", dataset=again)

    assert (partial.status, sent.status) == ("PARTIAL", "DONE")
    assert sent.counts["created"] == len(REASONS)
    assert client.get_frame_ids("cells", "hela") == ["f1", "f2", "f3", "f4"]
