"""Sources larger than memory become many uploads, and the dataset that one would make."""

import itertools
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import lakehouse
from lakehouse.errors import InvalidInputError
from lakehouse.storage import s3_files
from lakehouse.testing.invariants import assert_sound, assert_verified

FRAMES = 300
SMALL = 8 * 1024


def frames(count: int = FRAMES) -> pl.DataFrame:
    ids = pl.int_range(count, eager=True)
    return pl.select(
        frame_id=pl.format("f_{}", ids.cast(pl.String).str.zfill(4)),
        image_url=pl.format("s3://media/{}.png", ids),
        user__site=pl.when(ids % 3 == 0)
        .then(pl.lit("north"))
        .otherwise(pl.lit("south")),
    )


def labels(count: int = FRAMES, each: int = 4) -> pl.DataFrame:
    rows = pl.select(number=pl.int_range(count * each))
    return rows.select(
        frame_id=pl.format(
            "f_{}", (pl.col("number") // each).cast(pl.String).str.zfill(4)
        ),
        label_id=pl.format("l_{}", pl.col("number") % each),
        class_name=pl.lit("cell"),
        top=pl.col("number").cast(pl.Float64),
        left=pl.lit(1.0),
        width=pl.lit(2.0),
        height=pl.lit(3.0),
    ).sample(fraction=1, shuffle=True, seed=7)


def written(rows: pl.DataFrame, folder: Path, kind: str, parts: int = 1) -> Path:
    """A folder with the rows in files of a kind."""
    folder.mkdir(parents=True)
    step = -(-rows.height // parts)
    for number in range(parts):
        part, path = rows.slice(number * step, step), folder / f"{number}.{kind}"
        match kind:
            case "parquet":
                part.write_parquet(path)
            case "arrow":
                part.write_ipc(path)
            case "csv":
                part.write_csv(path)
            case _:
                part.write_ndjson(path)
    return folder


def sums(dataset: lakehouse.Dataset) -> tuple[str, dict[str, int]]:
    snapshot = dataset.latest()
    return snapshot.fingerprint, snapshot.counts


@pytest.fixture
def whole(project: lakehouse.Project) -> lakehouse.Dataset:
    """What one upload makes of the same rows."""
    dataset = project.create_dataset("whole")
    dataset.add(frames(), labels())
    return dataset


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv", "jsonl"])
def test_a_load_makes_what_one_upload_makes(
    dataset: lakehouse.Dataset, whole: lakehouse.Dataset, tmp_path: Path, kind: str
) -> None:
    source = written(frames(), tmp_path / "frames", kind, parts=3)
    boxes = written(labels(), tmp_path / "labels", kind, parts=2)

    load = dataset.load(source, boxes, part_bytes=SMALL, message="first")

    assert load.status == "DONE"
    assert len(load.uploads) > 5
    assert load.counts["created"] == FRAMES
    assert load.label_counts["created"] == 4 * FRAMES
    assert sums(dataset) == sums(whole)
    assert_sound(dataset.latest())
    assert_verified(dataset)


def test_parts_follow_the_order_of_the_frames(
    dataset: lakehouse.Dataset, tmp_path: Path
) -> None:
    source = written(frames(), tmp_path / "frames", "parquet")
    load = dataset.load(source, labels().lazy(), part_bytes=SMALL)

    ranges = [
        upload.diff().frames()["frame_id"].sort().gather([0, -1]).to_list()
        for upload in load.uploads
    ]
    assert ranges == sorted(ranges)
    assert all(last < first for (_, last), (first, _) in itertools.pairwise(ranges))
    sizes = [upload.frame_count for upload in load.uploads]
    assert max(sizes) < 3 * min(sizes)


def test_a_bad_row_is_reported_and_all_others_land(
    dataset: lakehouse.Dataset, tmp_path: Path
) -> None:
    bad = labels().with_columns(
        width=pl.when(pl.col("top") == 500).then(-1.0).otherwise(pl.col("width"))
    )
    source = written(bad, tmp_path / "labels", "parquet")

    load = dataset.load(frames().lazy(), source, part_bytes=SMALL)

    assert load.status == "PARTIAL"
    (problem,) = load.errors().to_dicts()
    assert (problem["frame_id"], problem["rule"]) == ("f_0125", "box.degenerate")
    assert dataset.latest().counts["frames"] == FRAMES - 1


def test_labels_alone_are_upserted(dataset: lakehouse.Dataset) -> None:
    dataset.add(frames())
    load = dataset.load(labels=labels().lazy(), part_bytes=SMALL)

    assert load.label_counts["created"] == 4 * FRAMES
    assert dataset.latest().counts == {"frames": FRAMES, "labels": 4 * FRAMES}


def test_a_load_that_broke_off_goes_on_where_it_was(
    dataset: lakehouse.Dataset, whole: lakehouse.Dataset, tmp_path: Path
) -> None:
    source = written(frames(), tmp_path / "frames", "parquet")
    boxes = written(labels(), tmp_path / "labels", "jsonl")

    def unplug(stage: str, done: int, total: int) -> None:
        if stage == "parts" and done == total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataset.load(source, boxes, part_bytes=SMALL, progress=unplug)
    first = min(dataset.uploads()["upload_id"])
    load = dataset.load(source, boxes, part_bytes=SMALL, load_id=first)

    assert load.id == first
    assert load.known == len(load.uploads) // 2
    assert sums(dataset) == sums(whole)
    assert dataset.uploads().height == len(load.uploads)
    again = dataset.load(source, boxes, part_bytes=SMALL, load_id=first)
    assert again.known == len(again.uploads)
    assert dataset.uploads().height == len(load.uploads)


def test_a_load_does_not_go_on_with_other_files(
    dataset: lakehouse.Dataset, tmp_path: Path
) -> None:
    source = written(frames(), tmp_path / "frames", "parquet")
    load = dataset.load(source, part_bytes=SMALL)
    frames(FRAMES + 1).write_parquet(source / "0.parquet")

    with pytest.raises(InvalidInputError, match="had other files"):
        dataset.load(source, part_bytes=SMALL, load_id=load.id)
    with pytest.raises(InvalidInputError, match="no id of a load"):
        dataset.load(source, load_id="mine")


def test_a_frame_given_twice_refuses_only_the_part_it_is_in(
    dataset: lakehouse.Dataset, tmp_path: Path
) -> None:
    twice = pl.concat([frames(), frames().slice(40, 1), frames().slice(250, 1)])
    source = written(twice, tmp_path / "frames", "parquet")

    with pytest.raises(InvalidInputError, match="parts could not be read") as message:
        dataset.load(source, part_bytes=2048)

    assert "f_0040" in str(message.value)
    assert "f_0250" in str(message.value)
    assert 0 < dataset.latest().counts["frames"] < FRAMES
    assert dataset.load(frames().lazy(), part_bytes=2048).counts["rejected"] == 0
    assert dataset.latest().counts["frames"] == FRAMES


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pl.DataFrame({"frame_id": ["a"], "image_ur": ["x"]}), "image_url"),
        (pl.DataFrame({"frame": ["a"]}), "no column frame_id"),
    ],
)
def test_columns_are_looked_at_before_anything_is_written(
    dataset: lakehouse.Dataset, rows: pl.DataFrame, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        dataset.load(rows.lazy())
    assert not dataset.uploads().height


def test_sources_that_are_none_are_refused(
    dataset: lakehouse.Dataset, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match="no file to load"):
        dataset.load(tmp_path / "nowhere")
    written(frames(3), tmp_path / "mixed", "parquet")
    (tmp_path / "mixed" / "more.csv").write_text("frame_id\nx\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="several kinds: csv, parquet"):
        dataset.load(tmp_path / "mixed")
    (tmp_path / "lines.jsonl").write_text(
        '{"frame_id": "a"}\nnonsense\n', encoding="utf-8"
    )
    with pytest.raises(InvalidInputError, match="line 2"):
        dataset.load(tmp_path / "lines.jsonl")
    with pytest.raises(InvalidInputError, match="no source to load"):
        dataset.load()
    assert not dataset.uploads().height


def test_inferences_are_loaded_in_parts_with_their_frames(
    dataset: lakehouse.Dataset,
) -> None:
    dataset.add(frames())
    model = dataset.create_inference_set("model")
    guesses = labels().with_columns(confidence=pl.lit(0.5)).lazy()

    load = model.load(guesses, frames().select("frame_id").lazy(), part_bytes=SMALL)

    assert (load.status, len(load.uploads) > 1) == ("DONE", True)
    assert model.latest().counts == {"frames": FRAMES, "labels": 4 * FRAMES}


def test_a_batch_dataset_takes_one_part(project: lakehouse.Project) -> None:
    batch = project.create_dataset("fixed", mode="BATCH")
    with pytest.raises(InvalidInputError, match="all or nothing"):
        batch.load(frames().lazy(), part_bytes=1024)
    assert batch.load(frames().lazy()).status == "DONE"


def test_values_of_strange_types_are_the_rows_problem(
    dataset: lakehouse.Dataset, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = frames(20).to_dicts()
    rows[7]["image_url"] = 12
    lines = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "frames.jsonl").write_text(lines, encoding="utf-8")

    load = dataset.load(tmp_path / "frames.jsonl", part_bytes=512)

    errors = load.errors().filter(severity="error")
    assert errors["frame_id"].to_list() == ["f_0007"]
    assert "image_url" in errors["path"].item()
    assert load.counts["created"] == 19


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_sources_on_s3_are_loaded(
    s3_root: str, s3_options: dict[str, str], tmp_path: Path, kind: str
) -> None:
    lake = lakehouse.connect(s3_root, storage_options=s3_options)
    files = s3_files(s3_options)
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    source = f"{s3_root}-source"
    for name, rows in (("frames", frames(60)), ("labels", labels(60))):
        local = written(rows, tmp_path / name, kind, parts=2)
        files.put(f"{local}/", f"{source}/{name}/", recursive=True)

    load = dataset.load(
        f"{source}/frames/*.{kind}", f"{source}/labels", part_bytes=SMALL
    )

    assert len(load.uploads) > 1
    assert dataset.latest().counts == {"frames": 60, "labels": 240}
