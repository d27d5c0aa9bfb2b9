"""`snapshot.similar`: which vectors it compares, in which version, and what it refuses."""

import pickle
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import lakehouse
from lakehouse.similarity import (
    corpus as vectors,
    index as approximate,
    query as search,
)
from lakehouse.similarity.index import VectorIndex
from lakehouse.storage.cache import cached
from tests.rows import box, frame

NOW = timedelta(0)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing is cached, in memory or in the folder."""
    monkeypatch.setattr(vectors, "_cache", type(vectors._cache)())
    monkeypatch.setattr(approximate, "_in_memory", {})
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def placed(dataset: lakehouse.Dataset) -> lakehouse.Dataset:
    """Frames on a line at 0, 1, 3, 7, and one without a vector; labels at 10 and on."""
    places = {"f0": 0.0, "f1": 1.0, "f3": 3.0, "f7": 7.0}
    frames = [
        frame(name, embedding=[at, 1.0], user__split="train" if at < 2 else "test")
        for name, at in places.items()
    ]
    labels = [
        box("f0", "a", embedding=[10.0, 0.0, 0.0]),
        box("f0", "b", embedding=[12.0, 0.0, 0.0]),
        box("f1", "a", embedding=[13.0, 0.0, 0.0]),
        box("f1", "c"),
    ]
    dataset.add([*frames, frame("bare")], labels)
    return dataset


def distances_by_id(rows: pl.DataFrame) -> dict[Any, float]:
    """Distances by frame or by frame and label, in the order of the answer."""
    ids = [
        tuple(key) if len(key) > 1 else key[0] for key in rows.drop("distance").rows()
    ]
    return dict(zip(ids, rows["distance"], strict=True))


# ---------------------------------- SEARCHING --------------------------------- #


def test_frames_and_labels_are_searched_apart(placed: lakehouse.Dataset) -> None:
    latest = placed.latest()

    frames = latest.similar(frame_id="f1", k=2)
    labels = latest.similar(frame_id="f0", label_id="b", k=2)

    assert list(distances_by_id(frames).items()) == [("f0", 1.0), ("f3", 2.0)]
    assert list(distances_by_id(labels).items()) == [
        (("f1", "a"), 1.0),
        (("f0", "a"), 2.0),
    ]
    assert distances_by_id(latest.similar(label_id="b")) == distances_by_id(labels)


def test_any_vector_is_searched_with(placed: lakehouse.Dataset) -> None:
    latest = placed.latest()

    assert distances_by_id(latest.similar(vector=[3.0, 1.0], k=1)) == {"f3": 0.0}
    labels_near = latest.similar(vector=[12.5, 0, 0], element_type="label", k=2)
    assert distances_by_id(labels_near) == {("f0", "b"): 0.5, ("f1", "a"): 0.5}
    cosine = latest.similar(vector=np.array([0.0, 5.0]), metric="cosine", k=1)
    assert distances_by_id(cosine) == {"f0": pytest.approx(0.0)}


def test_inferences_have_vectors_of_their_own(placed: lakehouse.Dataset) -> None:
    model = placed.create_inference_set("model_a")
    guesses = [
        box("f0", name, confidence=0.5, embedding=[at, 0.0])
        for name, at in (("x", 1.0), ("y", 2.0))
    ]
    model.add(guesses)

    assert distances_by_id(model.latest().similar(label_id="x")) == {("f0", "y"): 1.0}
    with pytest.raises(lakehouse.InvalidInputError, match="no labels in version"):
        model.latest().similar(vector=[1.0, 0.0], element_type="label")
    with pytest.raises(lakehouse.NotFoundError, match=r"No frame in .* has a vector"):
        model.latest().similar(frame_id="f0")


def test_a_filtered_snapshot_is_searched_in_part(placed: lakehouse.Dataset) -> None:
    latest = placed.latest()
    train = latest.filter(frames=pl.col("user__split") == "train")

    # The query may be of the other part.
    assert list(distances_by_id(train.similar(frame_id="f7"))) == ["f1", "f0"]
    assert distances_by_id(train.similar(frame_id="f0")) == {"f1": 1.0}
    only_a = latest.filter(labels=pl.col("label_id") == "a")
    assert list(distances_by_id(only_a.similar(label_id="b"))) == [
        ("f1", "a"),
        ("f0", "a"),
    ]
    nothing = latest.filter(frames=pl.lit(value=False))
    assert not nothing.similar(frame_id="f0").height


def test_each_version_is_searched_as_it_was(placed: lakehouse.Dataset) -> None:
    first = placed.version
    placed.modify([{"frame_id": "f7", "embedding": [1.0, 1.0]}])
    placed.delete(["f0"])
    placed.modify(labels=[{"frame_id": "f1", "label_id": "a", "width": 9.0}])

    assert distances_by_id(placed.latest().similar(frame_id="f1", k=1)) == {"f7": 0.0}
    assert distances_by_id(placed.at(first).similar(frame_id="f1", k=1)) == {"f0": 1.0}
    # The label was edited and kept its vector; those of f0 went with it.
    assert distances_by_id(
        placed.latest().similar(vector=[13.0, 0, 0], element_type="label")
    ) == {("f1", "a"): 0.0}


def test_a_collected_version_is_searched_as_before(placed: lakehouse.Dataset) -> None:
    before = placed.at(1).similar(frame_id="f1")
    placed.modify([{"frame_id": "f7", "embedding": [1.0, 1.0]}])
    placed.compact()
    placed.collect_garbage(retention=NOW, grace=NOW, dry_run=False)
    vectors._cache._by_name.clear()

    again = lakehouse.connect(store=placed._collection.store)
    old = again.project("cells").dataset("hela").at(1)

    assert old._collection.is_closed(1)
    assert old.similar(frame_id="f1").equals(before)
    assert pickle.loads(pickle.dumps(old)).similar(frame_id="f1").equals(before)


def test_versions_with_equal_vectors_share_what_was_read(
    placed: lakehouse.Dataset,
) -> None:
    one = placed.latest().corpus("frame").vectors()
    placed.modify([{"frame_id": "f7", "user__split": "train"}])

    assert placed.latest().corpus("frame").vectors() is one
    placed.modify([{"frame_id": "f7", "embedding": [1.0, 1.0]}])
    assert placed.latest().corpus("frame").vectors() is not one


# ---------------------------------- REFUSING ---------------------------------- #


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "Nothing was given"),
        ({"frame_id": "f0", "vector": [1.0, 2.0]}, "An id and a vector"),
        ({"frame_id": "f0", "k": 0}, "k: 0 is no number"),
        ({"vector": [1.0, float("nan")]}, "no finite number"),
        ({"vector": [1.0]}, "has dimension 1, version 1 of cells/hela has dimension 2"),
        ({"frame_id": "f0", "metric": "cosin"}, "one of euclidean, cosine"),
        ({"label_id": "a"}, r"any of 2 frames .*\['f0', 'f1'\]"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    placed: lakehouse.Dataset, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(lakehouse.InvalidInputError, match=message):
        placed.latest().similar(**asked)


def test_everything_wrong_is_reported_at_once(placed: lakehouse.Dataset) -> None:
    wrong: Any = {"k": -1, "metric": "far"}
    with pytest.raises(lakehouse.InvalidInputError) as refusal:
        placed.latest().similar(**wrong)

    assert [problem.path for problem in refusal.value.problems] == [
        "query",
        "k",
        "metric",
    ]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"frame_id": "f11"}, "Frame 'f11' is not in version 1 of cells/hela. Did you"),
        ({"frame_id": "bare"}, "Frame 'bare' in version 1 .* has no vector"),
        (
            {"frame_id": "f1", "label_id": "c"},
            "Label 'c' in version 1 .* has no vector",
        ),
        ({"frame_id": "f7", "label_id": "a"}, "Label 'a' is not in version 1"),
    ],
)
def test_what_is_not_there_is_reported(
    placed: lakehouse.Dataset, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(lakehouse.NotFoundError, match=message):
        placed.latest().similar(**asked)


def test_vectors_of_another_model_are_refused(project: lakehouse.Project) -> None:
    dataset = project.create_dataset("named", frame_embedding_model="clip")
    dataset.add([frame("f", embedding=[1.0, 2.0])])

    assert distances_by_id(
        dataset.latest().similar(vector=[1.0, 2.0], model="clip")
    ) == {"f": 0.0}
    with pytest.raises(
        lakehouse.InvalidInputError, match="'dino', version 1 of cells/named is of"
    ) as refusal:
        dataset.latest().similar(vector=[1.0, 2.0], model="dino")
    assert refusal.value.kind == "embedding.model"


# ------------------------------- APPROXIMATELY -------------------------------- #


@pytest.fixture
def many(dataset: lakehouse.Dataset) -> lakehouse.Snapshot:
    """More vectors than are measured exactly for a query."""
    draw = np.random.default_rng(0)
    embedding = draw.standard_normal((1_500, 32)).astype(np.float32)
    names = [f"f{n:04}" for n in range(len(embedding))]
    dataset.add(
        pl.DataFrame({"frame_id": names, "image_url": names}).with_columns(
            embedding=pl.Series(embedding, dtype=pl.Array(pl.Float32, 32)).arr.to_list()
        )
    )
    return dataset.latest()


def test_many_vectors_are_searched_by_faiss(
    many: lakehouse.Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = many.similar(frame_id="f0007")
    assert approximate._in_memory == {}

    assert many.similar(frame_id="f0007", exact=False).equals(exact)
    assert len(approximate._in_memory) == 1
    approximate._in_memory.clear()
    monkeypatch.setattr(search, "NUMBERS_WITHOUT_INDEX", 1_000)
    assert many.similar(frame_id="f0007", exact=True).equals(exact)
    assert approximate._in_memory == {}
    assert many.similar(frame_id="f0007").equals(exact)
    assert len(approximate._in_memory) == 1


def test_the_codes_serve_another_process(
    many: lakehouse.Snapshot, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = many.similar(frame_id="f0007", exact=False)
    (file,) = fresh.iterdir()

    approximate._in_memory.clear()
    with monkeypatch.context() as patch:
        patch.setattr(VectorIndex, "of", None)
        assert many.similar(frame_id="f0007", exact=False).equals(made)

    # A damaged file, and one of other vectors, are made anew.
    whole = file.read_bytes()
    for wrong in (whole[:100], b"", whole[:200] + bytes(400) + whole[600:]):
        file.write_bytes(wrong)
        approximate._in_memory.clear()
        assert many.similar(frame_id="f0007", exact=False).equals(made)
        assert file.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_done_without(
    many: lakehouse.Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAKEHOUSE_CACHE", str(tmp_path / "file" / "below"))

    assert many.similar(frame_id="f0007", exact=False).height == 10
    assert cached("x.keys", np.copy) is None


def test_without_faiss_every_search_is_exact(
    many: lakehouse.Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = many.similar(frame_id="f0007", exact=True)
    monkeypatch.setattr(search, "NUMBERS_WITHOUT_INDEX", 1_000)
    monkeypatch.setattr(search, "_has_faiss", lambda: False)
    monkeypatch.delitem(sys.modules, "lakehouse.similarity.index")
    monkeypatch.setitem(sys.modules, "faiss", None)

    assert many.similar(frame_id="f0007").equals(exact)
    with pytest.raises(
        lakehouse.LakehouseError, match=r"lakehouse\[similarity\]"
    ) as no:
        many.similar(frame_id="f0007", exact=False)
    assert no.value.kind == "extra.missing"


def test_memory_is_bounded(
    placed: lakehouse.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "MEMORY_BYTES", 40)
    latest = placed.latest()

    for _ in range(2):
        assert latest.similar(frame_id="f1", k=1).height == 1
        assert latest.similar(label_id="b", k=1).height == 1
    assert sum(one.size for one in vectors._cache._by_name.values()) <= 40
