"""What differs between two versions, and what an upload changed."""

import json
import pickle
from itertools import permutations

import polars as pl
import pytest
from rich.console import Console

import lakehouse
from lakehouse.ledger.collection import Collection
from tests.rows import box, frame
from tests.unit.versions.change_rows import TABLES, changes_by_key

NOTHING = {"added": 0, "removed": 0, "changed": 0}


@pytest.fixture
def changed(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    """Version 2 moves, relabels, adds and removes; version 3 takes some of it back."""
    dataset.add(
        [
            frame("f1", user__n=1, embedding=[1.0, 2.0]),
            frame("f2"),
            frame("f3", embedding=[5.0, 6.0]),
        ],
        [box("f1", "a"), box("f1", "b"), box("f2", "c"), box("f3", "d")],
    )
    with dataset.open_upload(message="second look") as draft:
        draft.modify(
            [{"frame_id": "f1", "user__n": 2, "embedding": [1.0, 3.0]}],
            [box("f1", "a", width=6.0), box("f1", "b", class_name="debris")],
        )
        draft.upsert_labels([box("f1", "new")])
        draft.add([frame("f4")], [box("f4", "e", class_name="debris")])
        draft.delete(["f3"])
    dataset.modify(labels=[box("f1", "b", class_name="cell")])
    return dataset


# ----------------------------------- ROWS ----------------------------------- #


def test_f74_rows_are_added_removed_and_changed(changed: lakehouse.Dataset) -> None:
    diff = changed.diff(1, 2)

    assert changes_by_key(diff.frames()) == {
        ("f1",): "changed",
        ("f3",): "removed",
        ("f4",): "added",
    }
    assert changes_by_key(diff.labels()) == {
        ("f1", "a"): "changed",
        ("f1", "b"): "changed",
        ("f1", "new"): "added",
        ("f3", "d"): "removed",
        ("f4", "e"): "added",
    }
    assert diff.counts["labels"] == {"added": 2, "removed": 1, "changed": 2}
    assert diff.counts["frame_embeddings"] == {"added": 0, "removed": 1, "changed": 1}
    assert diff.counts["label_embeddings"] == NOTHING
    assert diff.summary().row(1, named=True) == {
        "table": "labels",
        "added": 2,
        "removed": 1,
        "changed": 2,
    }


def test_fields_carry_their_values_before_and_after(changed: lakehouse.Dataset) -> None:
    diff = changed.diff(1, 2)

    fields = {row["label_id"]: row["fields"] for row in diff.labels().to_dicts()}
    assert fields["a"] == [{"field": "width", "before": "3.0", "after": "6.0"}]
    assert fields["b"] == [
        {"field": "class_name", "before": '"cell"', "after": '"debris"'},
        {"field": "class_id", "before": "0", "after": "1"},
    ]
    assert {"field": "top", "before": None, "after": "1.0"} in fields["new"]
    assert {"field": "top", "before": "1.0", "after": None} in fields["d"]
    assert diff.frames()["fields"][0].to_list() == [
        {"field": "user__n", "before": "1", "after": "2"}
    ]
    assert diff.fields() == {"class_name": 1, "class_id": 1, "width": 1}
    assert diff.fields("frames") == {"user__n": 1}


def test_rows_changed_and_changed_back_are_no_difference(
    changed: lakehouse.Dataset,
) -> None:
    assert ("f1", "b") not in changes_by_key(changed.diff(1, 3).labels())
    changed.modify(labels=[box("f1", "a", width=3.0)])
    assert ("f1", "a") not in changes_by_key(changed.diff(1).labels())


def test_a_diff_the_other_way_is_the_inverse(changed: lakehouse.Dataset) -> None:
    there, back = changed.diff(1, 3), changed.diff(3, 1)

    inverse = {"added": "removed", "removed": "added", "changed": "changed"}
    assert changes_by_key(back.labels()) == {
        key: inverse[change] for key, change in changes_by_key(there.labels()).items()
    }
    for table in TABLES:
        assert back.before(table).equals(there.after(table))
        assert back.after(table).equals(there.before(table))
    assert back.labels()["iou"].to_list() == there.labels()["iou"].to_list()
    assert (
        back.classes()
        .rename({"before": "after", "after": "before"})
        .sort("before", "after")
        .equals(
            there.classes().select("after", "before", "count").sort("before", "after"),
            null_equal=True,
        )
    )


def test_whole_rows_are_at_hand_on_both_sides(changed: lakehouse.Dataset) -> None:
    diff = changed.diff(1, 2)

    key = ["frame_id", "label_id"]
    old = changed.at(1).labels().sort(key).collect()
    new = changed.at(2).labels().sort(key).collect()
    assert diff.before().equals(old.join(diff.before(), on=key, how="semi"))
    assert diff.after().equals(new.join(diff.after(), on=key, how="semi"))
    assert diff.before()["label_id"].to_list() == ["a", "b", "d"]
    assert diff.after("frame_embeddings").to_dicts() == [
        {"frame_id": "f1", "embedding": [1.0, 3.0]}
    ]


def test_versions_are_named_as_at_takes_them(changed: lakehouse.Dataset) -> None:
    second = changed.versions()["time"].to_list()[2]

    assert changed.diff(second, "latest").counts == changed.diff(2, 3).counts
    assert changed.diff(changed.at(1), 2).counts == changed.diff(1, 2).counts
    assert changed.diff(0, 1).counts["frames"]["added"] == 3
    with pytest.raises(lakehouse.NotFoundError, match="0 to 3"):
        changed.diff(1, 9)
    with pytest.raises(lakehouse.NotFoundError, match="no-such-name"):
        changed.diff("no-such-name", 1)


def test_a_version_does_not_differ_from_itself(changed: lakehouse.Dataset) -> None:
    diff = changed.diff(2, 2)

    assert diff.is_empty
    assert not changed.diff(1, 2).is_empty
    assert diff.frames().schema == changed.diff(1, 2).frames().schema
    assert diff.labels().schema == changed.diff(1, 2).labels().schema
    assert diff.classes().schema == changed.diff(1, 2).classes().schema
    assert diff.counts == dict.fromkeys(TABLES, NOTHING)
    assert "nothing differs" in str(diff)


def test_snapshots_of_another_dataset_are_refused(
    changed: lakehouse.Dataset, project: lakehouse.Project
) -> None:
    other = project.create_dataset("other")

    with pytest.raises(lakehouse.InvalidInputError, match="different datasets"):
        changed.diff(1, other.latest())


def test_a_new_metadata_field_is_a_change(dataset: lakehouse.Dataset) -> None:
    dataset.add([frame("f1"), frame("f2")])
    dataset.modify([{"frame_id": "f1", "user__tags": ["a", "é"]}])

    (row,) = dataset.diff(1, 2).frames().to_dicts()

    assert row["fields"] == [
        {"field": "user__tags", "before": None, "after": '["a", "é"]'}
    ]
    assert dataset.diff(2, 1).fields("frames") == {"user__tags": 1}


# ----------------------------------- BOXES ---------------------------------- #


def test_moved_boxes_have_an_iou(dataset: lakehouse.Dataset) -> None:
    polygon = {
        "frame_id": "f1",
        "label_id": "p",
        "class_name": "cell",
        "polygons": [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]],
    }
    square = {"top": 0.0, "left": 0.0, "width": 10.0, "height": 10.0}
    names = ("shifted", "away", "inside", "relabelled", "other_sensor")
    labels = [box("f1", name) | square for name in names]
    dataset.add([frame("f1")], [*labels, polygon])
    dataset.modify(
        labels=[
            {"frame_id": "f1", "label_id": "shifted", "left": 5.0},
            {"frame_id": "f1", "label_id": "away", "top": 10.0},
            {"frame_id": "f1", "label_id": "inside", "width": 5.0, "height": 5.0},
            {"frame_id": "f1", "label_id": "relabelled", "class_name": "debris"},
            {"frame_id": "f1", "label_id": "other_sensor", "coordinate_frame": "left"},
            polygon | {"polygons": [[[0.0, 0.0], [2.0, 0.0], [1.0, 1.0]]]},
        ]
    )

    diff = dataset.diff(1, 2)

    iou = dict(diff.labels().select("label_id", "iou").iter_rows())
    assert iou["shifted"] == pytest.approx(1 / 3)
    assert iou["inside"] == pytest.approx(1 / 4)
    assert (iou["away"], iou["relabelled"]) == (0.0, 1.0)
    assert iou["other_sensor"] is iou["p"] is None
    moved = diff.moved_boxes()
    assert (moved.count, moved.under_half, moved.least) == (3, 3, 0.0)
    assert moved.median == pytest.approx(1 / 4)


def test_class_changes_are_counted_by_pair(changed: lakehouse.Dataset) -> None:
    counts = {tuple(row[:2]): row[2] for row in changed.diff(1, 2).classes().rows()}

    assert counts == {
        ("cell", "debris"): 1,
        (None, "cell"): 1,
        (None, "debris"): 1,
        ("cell", None): 1,
    }


# ---------------------------------- FILTERS --------------------------------- #


def test_filtered_snapshots_are_compared_as_what_they_hold(
    dataset: lakehouse.Dataset,
) -> None:
    dataset.add(
        [frame("f1", user__split="train"), frame("f2", user__split="val")],
        [box("f1", "a"), box("f2", "b"), box("f2", "small")],
    )
    dataset.modify([{"frame_id": "f2", "user__split": "train"}])
    dataset.modify(labels=[box("f2", "b", width=9.0), box("f2", "small", width=2.0)])
    train, wide = pl.col("user__split") == "train", pl.col("width") > 2.5

    diff = dataset.diff(
        dataset.at(1).filter(frames=train, labels=wide),
        dataset.at(3).filter(frames=train, labels=wide),
    )

    assert changes_by_key(diff.frames()) == {("f2",): "added"}
    assert changes_by_key(diff.labels()) == {("f2", "b"): "added"}
    assert diff.before("frames").is_empty()
    assert diff.after()["width"].to_list() == [9.0]
    assert {"field": "width", "before": None, "after": "9.0"} in diff.labels()[
        "fields"
    ].to_list()[0]


# ---------------------------------- UPLOADS --------------------------------- #


def test_an_upload_tells_what_it_changed(dataset: lakehouse.Dataset) -> None:
    first = dataset.add([frame("f1"), frame("f2")], [box("f1", "a"), box("f2", "b")])
    upload = dataset.modify(labels=[box("f1", "a", width=9.0), box("f2", "b")])
    dataset.modify(labels=[box("f1", "a", width=20.0)])

    diff = upload.diff()

    assert changes_by_key(diff.labels()) == {("f1", "a"): "changed"}
    assert (diff.before()["width"][0], diff.after()["width"][0]) == (3.0, 9.0)
    assert first.diff().counts["labels"] == {"added": 2, "removed": 0, "changed": 0}
    assert upload.id in str(diff)


def test_uploads_that_share_a_version_show_only_their_own(lake_root: str) -> None:
    lake = lakehouse.connect(lake_root, merge="deferred")
    dataset = lake.create_project("cells", classes=["cell"]).create_dataset("hela")
    one = dataset.add([frame("f1")], [box("f1", "a")])
    two = dataset.add([frame("f2")], [box("f2", "b")])
    with pytest.raises(lakehouse.InvalidInputError, match="pending"):
        one.diff()
    dataset.merge_pending()

    assert one.version == two.version
    assert changes_by_key(one.diff().frames()) == {("f1",): "added"}
    assert changes_by_key(two.diff().labels()) == {("f2", "b"): "added"}


def test_a_failed_upload_changed_nothing(dataset: lakehouse.Dataset) -> None:
    failed = dataset.add([frame("f1")], [box("f1", "a", class_name="cel")])

    assert failed.status == "FAILED"
    assert failed.diff().is_empty


# --------------------------- MAINTENANCE, OTHER PLACES ---------------------- #


def test_compaction_changes_no_diff(changed: lakehouse.Dataset) -> None:
    before = changed.diff(1, 3).labels()
    changed.compact()

    assert changed.diff(1, 3).labels().equals(before)
    assert changed.diff(3, "latest").is_empty


def test_versions_without_files_are_compared_from_the_change_log(
    changed: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed.compact()
    pairs = list(permutations(range(4), 2))
    open_ones = [changed.diff(*pair) for pair in pairs]
    rows = [(diff.labels(), diff.frames(), diff.before()) for diff in open_ones]
    monkeypatch.setattr(Collection, "is_closed", lambda *_: True)

    for pair, diff, (labels, frames, before) in zip(
        pairs, open_ones, rows, strict=True
    ):
        closed = changed.diff(*pair)
        assert closed.counts == diff.counts
        assert closed.labels().equals(labels)
        assert closed.frames().equals(frames)
        assert closed.before().equals(before)


@pytest.mark.s3
def test_a_diff_on_s3_is_that_on_a_disk(
    s3_root: str, s3_options: dict[str, str], dataset: lakehouse.Dataset
) -> None:
    lake = lakehouse.connect(s3_root, storage_options=s3_options)
    project = lake.create_project("cells", classes=["cell", "debris"])
    remote = project.create_dataset("hela")
    for one in (dataset, remote):
        one.add([frame("f1"), frame("f2")], [box("f1", "a"), box("f2", "b")])
        one.modify(labels=[box("f1", "a", width=9.0)])
        last = one.delete(["f2"])

    assert remote.diff(1).labels().equals(dataset.diff(1).labels())
    assert remote.diff(3, 1).counts == dataset.diff(3, 1).counts
    assert changes_by_key(last.diff().frames()) == {("f2",): "removed"}


def test_a_diff_can_be_pickled(changed: lakehouse.Dataset) -> None:
    diff = changed.diff(1, 2)

    again = pickle.loads(pickle.dumps(diff))

    assert str(again) == str(diff)
    assert again.labels().equals(diff.labels())


# ----------------------------------- TEXT ----------------------------------- #


def test_a_diff_reads_well(changed: lakehouse.Dataset) -> None:
    diff = changed.diff(1, 2)

    assert repr(diff) == (
        "<Diff version 1 → 2: frames +1 −1 ~1, labels +2 −1 ~2, "
        "frame embeddings +0 −1 ~1>"
    )
    assert str(diff).splitlines() == [
        "version 1 → 2",
        "                    added  removed  changed",
        "frames                  1        1        1",
        "labels                  2        1        2",
        "frame embeddings        0        1        1",
        "classes: cell → debris 1, +cell 1, +debris 1, −cell 1",
        "frames changed in: user__n 1",
        "labels changed in: class_name 1, width 1",
        "moved boxes: 1, IoU median 0.50, least 0.50, 0 under 0.5",
    ]


def test_a_diff_is_drawn_in_terminals_and_notebooks(
    changed: lakehouse.Dataset,
) -> None:
    diff = changed.diff(1, 2)

    with (console := Console(width=100)).capture() as captured:
        console.print(diff)
    assert "cell → debris 1" in captured.get()
    html = diff._repr_html_()
    assert "<td>2</td>" in html
    assert "cell → debris 1" in html
    assert "nothing differs" in changed.diff(1, 1)._repr_html_()


def test_a_summary_is_json(changed: lakehouse.Dataset) -> None:
    summary = json.loads(json.dumps(changed.diff(1, 2).to_dict()))

    assert (summary["from"], summary["to"], summary["upload"]) == (1, 2, None)
    assert summary["counts"]["labels"]["added"] == 2
    assert summary["moved_boxes"]["count"] == 1


def test_a_frame_is_drawn_on_both_sides(changed: lakehouse.Dataset) -> None:
    diff = changed.diff(1, 2)

    assert diff.plot("f1").width > diff.plot("f4").width
    with pytest.raises(lakehouse.NotFoundError, match="f9"):
        diff.plot("f9")
