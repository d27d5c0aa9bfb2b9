"""The class map: which classes a project knows, with ids and colours.

Classes are only ever appended or renamed, so an id means one class for ever. Each
has the version it came with and the names it had before, so the map of any earlier
time follows from the one of today.
"""

import colorsys
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Final

from lakehouse.errors import InvalidInputError, NotFoundError

Colour = tuple[int, int, int]
"""Red, green, blue, each 0 to 255."""

# As a share of the circle: hues that follow each other at this step lie far apart,
# however many there are.
_GOLDEN_ANGLE: Final = 0.381966


@dataclass(frozen=True, slots=True)
class LabelClass:
    """One class."""

    name: str
    class_id: int
    color: Colour
    train_name: str | None = None
    train_id: int | None = None
    train_color: Colour | None = None
    category: str | None = None
    category_id: int | None = None
    has_instances: bool = True
    ignore_in_eval: bool = False
    keypoint_names: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    since: int = 1
    """The version of the map that it came with."""
    earlier_names: tuple[tuple[int, str], ...] = ()
    """The versions of the map that renamed it, and what it was called until then."""

    def name_at(self, version: int) -> str:
        """What it was called in a version of the map."""
        # Earliest first: the first name given up after that version was in force.
        later = (name for until, name in self.earlier_names if until > version)
        return next(later, self.name)


@dataclass(frozen=True)
class ClassMap:
    """The classes of a project.

    >>> classes = ClassMap.from_names(["cell", "debris"])
    >>> classes.ids
    {'cell': 0, 'debris': 1}
    """

    classes: tuple[LabelClass, ...]
    version: int = 1
    """Grows with each change."""

    def __post_init__(self) -> None:
        problems = _problems(self.classes)
        if problems:
            raise InvalidInputError("; ".join(problems), kind="class_map.invalid")

    @classmethod
    def from_names(cls, names: Iterable[str]) -> "ClassMap":
        """Classes with ids from 0 in the order given, each of its own colour.

        Raises:
            InvalidInputError: If there is none, or one is named twice.
        """
        listed = [names] if isinstance(names, str) else list(names)
        return cls(
            tuple(
                LabelClass(name, place, _colour(place))
                for place, name in enumerate(listed)
            )
        )

    @cached_property
    def ids(self) -> dict[str, int]:
        """Class name to class id, in the order of the ids."""
        return {
            known.name: known.class_id
            for known in sorted(self.classes, key=lambda known: known.class_id)
        }

    def get(self, name: str) -> LabelClass | None:
        """The class of that name, if there is one."""
        return next((known for known in self.classes if known.name == name), None)

    @property
    def renamed(self) -> dict[str, str]:
        """Each name that a class had before, and the one it has now."""
        return {
            name: known.name
            for known in self.classes
            for _, name in known.earlier_names
            if name != known.name
        }

    def as_of(self, version: int) -> "ClassMap":
        """The map as it was in one of its versions.

        >>> classes = (
        ...     ClassMap.from_names(["cel"]).rename("cel", "cell").append(["dust"])
        ... )
        >>> list(classes.as_of(1).ids), list(classes.as_of(2).ids)
        (['cel'], ['cell'])
        """
        known = (
            replace(
                one,
                name=one.name_at(version),
                earlier_names=tuple(p for p in one.earlier_names if p[0] <= version),
            )
            for one in self.classes
            if one.since <= version
        )
        return ClassMap(tuple(known), min(version, self.version))

    def append(self, names: Sequence[str]) -> "ClassMap":
        """The map with these classes behind the ones there are.

        Raises:
            InvalidInputError: If a name is there already, or was that of a class
                which has another by now: old rows call that so.
        """
        free = max((known.class_id for known in self.classes), default=-1) + 1
        since = self.version + 1
        listed = [names] if isinstance(names, str) else list(names)
        self._require_fresh(listed)
        added = [
            LabelClass(name, free + place, _colour(free + place), since=since)
            for place, name in enumerate(listed)
        ]
        return ClassMap((*self.classes, *added), since)

    def _require_fresh(self, names: Sequence[str], *, but: str | None = None) -> None:
        """Refuse names that old rows have for other classes."""
        taken = [
            f"{name!r} was the name of class {self.renamed[name]!r}, and is in old rows"
            for name in names
            if self.renamed.get(name, but) != but
        ]
        if taken:
            raise InvalidInputError(
                f"{'; '.join(taken)}. Choose another name, or rename that class back.",
                kind="class_map.invalid",
            )

    def rename(self, old: str, new: str) -> "ClassMap":
        """The map with one class renamed; its id stays.

        Raises:
            NotFoundError: If there is no class `old`.
            InvalidInputError: If `new` is taken, or was that of another class.
        """
        if self.get(old) is None:
            raise NotFoundError(
                f"There is no class {old!r}. There are: {list(self.ids)}.",
                kind="class.unknown",
            )
        self._require_fresh([new], but=old)
        version = self.version + 1
        renamed = tuple(
            replace(
                known, name=new, earlier_names=(*known.earlier_names, (version, old))
            )
            if known.name == old
            else known
            for known in self.classes
        )
        return ClassMap(renamed, version)

    def to_json(self) -> str:
        """The map as JSON text."""
        fields = [asdict(known) for known in self.classes]
        return json.dumps({"version": self.version, "classes": fields})

    @classmethod
    def from_json(cls, text: str) -> "ClassMap":
        """Read `to_json` back."""
        document = json.loads(text)
        classes = tuple(_class(fields) for fields in document["classes"])
        return cls(classes, document["version"])


def _class(fields: Mapping[str, Any]) -> LabelClass:
    lists: dict[str, Any] = {
        "color": tuple(fields["color"]),
        "train_color": tuple(fields["train_color"]) if fields["train_color"] else None,
        "keypoint_names": tuple(fields["keypoint_names"]),
        "skeleton": tuple((a, b) for a, b in fields["skeleton"]),
        "earlier_names": tuple(
            (at, name) for at, name in fields.get("earlier_names", ())
        ),
    }
    return LabelClass(**{**fields, **lists})


def _problems(classes: Sequence[LabelClass]) -> list[str]:
    names = [known.name for known in classes]
    ids = [known.class_id for known in classes]
    problems: list[str] = []
    if not classes:
        problems.append("A class map needs at least one class.")
    if bad := [name for name in names if not name]:
        problems.append(f"Class names are non-empty text, not {bad}.")
    if twice := sorted({str(name) for name in names if names.count(name) > 1}):
        problems.append(f"Classes are named twice: {twice}.")
    if twice_ids := sorted({number for number in ids if ids.count(number) > 1}):
        problems.append(f"Class ids are used twice: {twice_ids}.")
    if negative := [number for number in ids if number < 0]:
        problems.append(f"Class ids are 0 or more, not {negative}.")
    return problems


def _colour(place: int) -> Colour:
    """The colour of the class at a place: a hue by the golden angle."""
    hue = (0.58 + place * _GOLDEN_ANGLE) % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)
