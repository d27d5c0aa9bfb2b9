"""Frames of a pool are ranked by the element of a segment that is nearest to them."""

import pytest

import lakehouse
from tests.rows import box, frame


@pytest.fixture
def rare(project: lakehouse.Project, dataset: lakehouse.Dataset) -> lakehouse.Segment:
    dataset.add(
        [frame(f"s{at}", embedding=[float(at), 0.0]) for at in (0, 100)],
        [box("s0", "a", embedding=[5.0, 5.0]), box("s100", "b", embedding=[9.0, 5.0])],
    )
    made = project.create_segment(
        "rare", type="collection_campaign", element_type="frame"
    )
    made.add(dataset, frames=["s0", "s100"])
    return made


@pytest.fixture
def pool(project: lakehouse.Project) -> lakehouse.Dataset:
    made = project.create_dataset("pool")
    made.add([frame(f"p{at}", embedding=[float(at), 0.0]) for at in (1, 30, 90, 98)])
    return made


def test_the_most_alike_come_first(
    rare: lakehouse.Segment, pool: lakehouse.Dataset
) -> None:
    rows = rare.candidates(pool, k=3)

    assert rows.select("frame_id", "distance", "like_frame_id").rows() == [
        ("p1", 1.0, "s0"),
        ("p98", 2.0, "s100"),
        ("p90", 10.0, "s100"),
    ]
    assert rare.candidates(pool, k=None).height == 4


def test_what_is_labelled_or_in_the_segment_is_left_out(
    rare: lakehouse.Segment, pool: lakehouse.Dataset, dataset: lakehouse.Dataset
) -> None:
    before = pool.latest()
    pool.upsert_labels([box("p1", "x")])

    assert rare.candidates(pool, k=1)["frame_id"].item() == "p98"
    assert rare.candidates(before, k=1)["frame_id"].item() == "p98"
    assert rare.candidates(pool, k=1, unlabelled=False)["frame_id"].item() == "p1"
    assert not rare.candidates(dataset).height
    dataset.add([frame("more", embedding=[3.0, 0.0])])
    assert rare.candidates(dataset)["frame_id"].to_list() == ["more"]


def test_elements_count_as_they_were_when_they_were_added(
    rare: lakehouse.Segment, pool: lakehouse.Dataset, dataset: lakehouse.Dataset
) -> None:
    before = rare.candidates(pool)
    dataset.modify([{"frame_id": "s0", "embedding": [30.0, 0.0]}])
    dataset.delete(["s100"])

    assert rare.candidates(pool).equals(before)


def test_labels_rank_frames_by_what_a_model_says_of_them(
    project: lakehouse.Project, rare: lakehouse.Segment, dataset: lakehouse.Dataset,
    pool: lakehouse.Dataset,
) -> None:  # fmt: skip
    labels = project.create_segment("odd", element_type="label")
    labels.add(dataset)
    model = pool.create_inference_set("proposals")
    new_vectors = {"p1": [20.0, 5.0], "p30": [9.5, 5.0]}
    model.add(
        [
            box(
                name,
                f"{name}-{n}",
                confidence=0.5,
                embedding=[vector[0] + n, vector[1]],
            )
            for name, vector in new_vectors.items()
            for n in range(3)
        ]
    )

    rows = labels.candidates(model)
    assert rows.rows() == [
        ("p30", 0.5, "hela", "s100", "b"),
        ("p1", 11.0, "hela", "s100", "b"),
    ]
    pool.upsert_labels([box("p30", "x")])
    assert labels.candidates(model)["frame_id"].to_list() == ["p1"]


def test_what_cannot_be_compared_is_refused(
    project: lakehouse.Project, rare: lakehouse.Segment, pool: lakehouse.Dataset
) -> None:
    other = project.create_dataset("other", frame_embedding_model="dino")
    other.add([frame("z", embedding=[1.0, 2.0, 3.0])])
    empty = project.create_segment("empty", element_type="frame")
    bare = project.create_segment("bare", element_type="frame")
    pool.add([frame("none")])
    bare.add(pool, frames=["none"])

    with pytest.raises(lakehouse.InvalidInputError, match=r"dimension 2.*dimension 3"):
        rare.candidates(other)
    for one in (empty, bare):
        with pytest.raises(
            lakehouse.NotFoundError, match=r"No element .* has a vector"
        ):
            one.candidates(pool)
