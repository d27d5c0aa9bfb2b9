"""Class maps in the client's spelling."""

from typing import Any

import pytest

import lakehouse
import lakehouse.aquarium as al


@pytest.mark.parametrize("count", [1, 10, 11, 20, 21, 60])
def test_any_number_of_classes_gets_colours_of_their_own(count: int) -> None:
    entries = al.LabelClassMap.from_classnames([f"c{n}" for n in range(count)]).entries

    described = [entry.to_dict() for entry in entries]

    assert [entry["id"] for entry in described] == list(range(count))
    assert len({tuple(entry["color"]) for entry in described}) == count


@pytest.mark.parametrize(("palette", "most"), [("max10", 10), ("max20", 20)])
def test_a_palette_has_so_many_colours(palette: str, most: int) -> None:
    make = getattr(al.LabelClassMap, f"from_classnames_{palette}")

    assert len(make([f"c{n}" for n in range(most)]).entries) == most
    with pytest.raises(lakehouse.InvalidInputError, match="palette"):
        make([f"c{n}" for n in range(most + 1)])


@pytest.mark.parametrize("scale", ["turbo", "viridis"])
def test_a_scale_has_a_colour_for_each(scale: str) -> None:
    make = getattr(al.LabelClassMap, f"from_classnames_{scale}")

    colours = {tuple(e.to_dict()["color"]) for e in make(list("abcdefgh")).entries}

    assert len(colours) == 8


def test_an_entry_falls_back_to_the_class_itself() -> None:
    entry = al.ClassMapEntry(name="cat", class_id=4, color=(1, 2, 3)).to_dict()

    assert (entry["train_name"], entry["train_id"]) == ("cat", 4)
    assert (entry["category"], entry["category_id"]) == ("cat", 4)
    assert (entry["train_color"], entry["has_instances"]) == ([1, 2, 3], True)


GOOD: dict[str, Any] = {"name": "cat", "class_id": 0, "color": (1, 2, 3)}


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": 3},
        {"class_id": -1},
        {"color": (1, 2)},
        {"color": (1, 2, 256)},
        {"color": (1, 2, 0.5)},
        {"skeleton": [(0, 1)]},
        {"skeleton": [(0, 2)], "keypoint_names": ["nose", "tail"]},
    ],
)
def test_an_entry_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(lakehouse.InvalidInputError):
        al.ClassMapEntry(**GOOD | change)


@pytest.mark.parametrize("change", [{"name": "dog"}, {"class_id": 1}])
def test_a_name_and_an_id_are_given_once(change: dict[str, Any]) -> None:
    classes = al.LabelClassMap(entries=[al.ClassMapEntry(**GOOD)])

    with pytest.raises(lakehouse.InvalidInputError):
        classes.add_entry(al.ClassMapEntry(**GOOD | change))
