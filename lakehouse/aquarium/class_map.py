"""Class maps in the client's spelling: names, ids, colours, skeletons."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from lakehouse.errors import InvalidInputError
from lakehouse.model.class_map import ClassMap, Colour, LabelClass

_STEPS: Final = 256


def _colours(text: str) -> list[Colour]:
    """Colours from their hexadecimal codes."""
    parts = [bytes.fromhex(code) for code in text.split()]
    return [(part[0], part[1], part[2]) for part in parts]


# 32 stops each, and linear between them: less than 6 of 255 off Matplotlib's maps.
_TURBO: Final = _colours(
    "30123b 392a73 4040a2 4456c7 466be3 4680f6 4294ff 37a8fa 28bceb 1ccdd8 18ddc2 "
    "1fe9af 32f298 4ef97d 6dfe62 8bff4b a4fc3c b7f735 cbed34 dde037 ecd13a f7c13a "
    "fdae35 fe992c fb8122 f56918 ec530f e14109 d23105 c12302 ac1701 950d01 7a0403"
)
_VIRIDIS: Final = _colours(
    "440154 470d60 48186a 482374 472d7b 453781 424086 3e4989 3b528b 375b8d 33638d "
    "2f6b8e 2c728e 297a8e 26828e 23898e 21918c 1f978b 1f9f88 21a685 27ad81 31b57b "
    "3dbc74 4cc26c 5cc863 6ece58 81d34d 95d840 aadc32 c0df25 d5e21a eae51a fde725"
)


# ------------------------------ COLOUR SCALES ------------------------------- #


def turbo(place: float) -> Colour:
    """The colour at a position of the turbo scale, 0.0 to 1.0.

    >>> turbo(0.0)
    (48, 18, 59)
    """
    return _interpolate(_TURBO, place)


def viridis(place: float) -> Colour:
    """The colour at a position of the viridis scale, 0.0 to 1.0.

    >>> viridis(1.0)
    (253, 231, 37)
    """
    return _interpolate(_VIRIDIS, place)


def _interpolate(stops: Sequence[Colour], place: float) -> Colour:
    """The colour between the two stops beside a position."""
    exact = place * (len(stops) - 1)
    # At the end of the scale there is no next stop.
    first = min(int(exact), len(stops) - 2)
    share = exact - first
    red, green, blue = (
        round(before * (1 - share) + after * share)
        for before, after in zip(stops[first], stops[first + 1], strict=True)
    )
    return red, green, blue


turbo_rgb: Final[list[Colour]] = [turbo(n / (_STEPS - 1)) for n in range(_STEPS)]
"""The turbo scale, a rainbow, in 256 steps."""

viridis_rgb: Final[list[Colour]] = [viridis(n / (_STEPS - 1)) for n in range(_STEPS)]
"""The viridis scale, from dark violet to yellow, in 256 steps."""

tableau_colors: Final[list[Colour]] = [
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
    (140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207),
]  # fmt: skip
"""Tableau's ten colours."""

orig_label_color_list: Final[list[Colour]] = [
    (230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48),
    (145, 30, 180), (70, 240, 240), (240, 50, 230), (210, 245, 60), (250, 190, 212),
    (0, 128, 128), (220, 190, 255), (170, 110, 40), (255, 250, 200), (128, 0, 0),
    (170, 255, 195), (128, 128, 0), (255, 215, 180), (0, 0, 128), (128, 128, 128),
]  # fmt: skip
"""Twenty colours that are easy to distinguish (S. Trubetskoy, 2017)."""


_LIGHT: Final[tuple[Colour, ...]] = (
    (174, 199, 232), (255, 187, 120), (152, 223, 138), (255, 152, 150), (197, 176, 213),
    (196, 156, 148), (247, 182, 210), (199, 199, 199), (219, 219, 141), (158, 218, 229),
)  # fmt: skip
_DISTINCT: Final = tuple(
    colour for pair in zip(tableau_colors, _LIGHT, strict=True) for colour in pair
)
_MAX_CHANNEL: Final = 255


def _colour(value: Sequence[int]) -> Colour:
    parts: list[Any] = list(value)
    fits = len(parts) == 3 and all(  # noqa: PLR2004 - red, green, blue
        isinstance(part, int) and 0 <= part <= _MAX_CHANNEL for part in parts
    )
    if not fits:
        raise InvalidInputError(
            f"{value!r} is no colour: red, green and blue are whole numbers, 0 to 255.",
            kind="class_map.invalid",
        )
    return parts[0], parts[1], parts[2]


def _require_text(values: Mapping[str, object]) -> None:
    for name, value in values.items():
        if not isinstance(value, str | None):
            raise InvalidInputError(
                f"{name} is {value!r}: it is text.", kind="class_map.invalid"
            )


def _require_whole(values: Mapping[str, object]) -> None:
    for name, value in values.items():
        if value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or value < 0
        ):
            raise InvalidInputError(
                f"{name} is {value!r}: it is a whole number, 0 or more.",
                kind="class_map.invalid",
            )


# --------------------------------- CLASSES ---------------------------------- #


class ClassMapEntry:
    """One class of a class map."""

    def __init__(
        self,
        *,
        name: str,
        class_id: int,
        color: Sequence[int],
        train_name: str | None = None,
        train_id: int | None = None,
        category: str | None = None,
        category_id: int | None = None,
        has_instances: bool = True,
        ignore_in_eval: bool = False,
        train_color: Sequence[int] | None = None,
        keypoint_names: list[str] | None = None,
        skeleton: Sequence[Sequence[int]] | None = None,
    ) -> None:
        _require_whole({"class_id": class_id, "train_id": train_id})
        _require_whole({"category_id": category_id})
        _require_text({"name": name, "train_name": train_name, "category": category})
        # A bone joins two keypoints, named by their positions in the list.
        names, bones = keypoint_names or [], skeleton or []
        if bones and not names:
            raise InvalidInputError(
                f"Class {name!r} has a skeleton and no keypoint_names.",
                kind="class_map.invalid",
            )
        if any(not 0 <= end < len(names) for bone in bones for end in bone):
            raise InvalidInputError(
                f"The skeleton of class {name!r} names keypoints that are not there.",
                kind="class_map.invalid",
            )
        self.label_class = LabelClass(
            name=name,
            class_id=class_id,
            color=_colour(color),
            train_name=name if train_name is None else train_name,
            train_id=class_id if train_id is None else train_id,
            train_color=_colour(color if train_color is None else train_color),
            category=name if category is None else category,
            category_id=class_id if category_id is None else category_id,
            has_instances=has_instances,
            ignore_in_eval=ignore_in_eval,
            keypoint_names=tuple(names),
            skeleton=tuple((first, second) for first, second in bones),
        )
        # The rules for names and ids are those of a class map, here of one class.
        ClassMap((self.label_class,))

    def to_dict(self) -> dict[str, Any]:
        """The entry in the client's keys."""
        known = self.label_class
        return {
            "name": known.name,
            "id": known.class_id,
            "train_name": known.train_name,
            "train_id": known.train_id,
            "category": known.category,
            "category_id": known.category_id,
            "color": list(known.color),
            "train_color": list(known.train_color or known.color),
            "has_instances": known.has_instances,
            "ignore_in_eval": known.ignore_in_eval,
            "keypoint_names": list(known.keypoint_names),
            "skeleton": [list(bone) for bone in known.skeleton],
        }


class LabelClassMap:
    """The classes of a project: every label and inference is of one of them.

    >>> len(LabelClassMap.from_classnames(["cat", "dog"]).entries)
    2
    """

    def __init__(self, *, entries: list[ClassMapEntry] | None = None) -> None:
        self.entries: list[ClassMapEntry] = []
        for entry in entries or []:
            self.add_entry(entry)

    def add_entry(self, entry: ClassMapEntry) -> None:
        """Add a class.

        Raises:
            InvalidInputError: If its name or id is taken.
        """
        ClassMap(tuple(known.label_class for known in [*self.entries, entry]))
        self.entries.append(entry)

    def to_class_map(self) -> ClassMap:
        """The same classes, as the lake's own class map."""
        return ClassMap(tuple(entry.label_class for entry in self.entries))

    @staticmethod
    def from_classnames(classnames: list[str]) -> "LabelClassMap":
        """Classes in colours as distinct as their number allows."""
        if len(classnames) <= len(tableau_colors):
            return LabelClassMap.from_classnames_max10(classnames)
        if len(classnames) <= len(_DISTINCT):
            return LabelClassMap.from_classnames_max20(classnames)
        return LabelClassMap.from_classnames_turbo(classnames)

    @staticmethod
    def from_classnames_max10(classnames: list[str]) -> "LabelClassMap":
        """At most 10 classes, in the Tableau colours."""
        return _from_palette(classnames, tableau_colors)

    @staticmethod
    def from_classnames_max20(classnames: list[str]) -> "LabelClassMap":
        """At most 20 classes, in the Tableau colours and their light variants."""
        return _from_palette(classnames, _DISTINCT)

    @staticmethod
    def from_classnames_turbo(classnames: list[str]) -> "LabelClassMap":
        """Any number of classes, in a rainbow."""
        return _from_scale(classnames, turbo)

    @staticmethod
    def from_classnames_viridis(classnames: list[str]) -> "LabelClassMap":
        """Any number of classes, from dark violet to yellow."""
        return _from_scale(classnames, viridis)


def _from_palette(names: list[str], palette: Sequence[Colour]) -> LabelClassMap:
    if len(names) > len(palette):
        raise InvalidInputError(
            f"{len(names)} classes are more than the {len(palette)} colours of this "
            "palette. Use from_classnames_turbo.",
            kind="class_map.invalid",
        )
    return _with_colours(names, list(palette))


def _from_scale(names: list[str], scale: Callable[[float], Colour]) -> LabelClassMap:
    # A single class takes the start of the scale.
    last = max(len(names) - 1, 1)
    return _with_colours(names, [scale(place / last) for place in range(len(names))])


def _with_colours(names: list[str], colours: Sequence[Colour]) -> LabelClassMap:
    return LabelClassMap(
        entries=[
            ClassMapEntry(name=name, class_id=place, color=colours[place])
            for place, name in enumerate(names)
        ]
    )


class ClassMapUpdateEntry:
    """New colours or keypoints for an existing class, named by name or id."""

    def __init__(
        self,
        *,
        name: str | None = None,
        class_id: int | None = None,
        color: Sequence[int] | None = None,
        train_color: Sequence[int] | None = None,
        keypoint_names: list[str] | None = None,
        skeleton: Sequence[Sequence[int]] | None = None,
    ) -> None:
        if name is None and class_id is None:
            raise InvalidInputError(
                "Name the class to update by name or class_id.",
                kind="class_map.invalid",
            )
        self.name = name
        self.class_id = class_id
        self.changes: dict[str, Any] = {}
        if color is not None:
            self.changes["color"] = _colour(color)
        if train_color is not None:
            self.changes["train_color"] = _colour(train_color)
        if keypoint_names is not None:
            self.changes["keypoint_names"] = tuple(keypoint_names)
        if skeleton is not None:
            self.changes["skeleton"] = tuple((a, b) for a, b in skeleton)

    def to_dict(self) -> dict[str, Any]:
        """The class and its changes in the client's keys; what stays is left out."""
        named = {"name": self.name, "id": self.class_id} | self.changes
        return {
            key: [list(part) if isinstance(part, tuple) else part for part in value]
            if isinstance(value, tuple)
            else value
            for key, value in named.items()
            if value is not None
        }
