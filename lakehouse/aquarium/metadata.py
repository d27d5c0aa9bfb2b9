"""User metadata, place and vector of a frame."""

import math
from collections.abc import Sequence
from typing import Any, Final, Literal, TypedDict, cast

from lakehouse.aquarium.checks import check_embedding, check_text, is_key, refuse
from lakehouse.aquarium.state import FrameState
from lakehouse.model.metadata import PREFIX

__all__ = ["CropEmbedding", "MetadataVerbs", "Scalar", "TypeName"]

Scalar = str | int | float | bool
"""One value of user metadata."""

TypeName = Literal["str", "int", "float", "bool"]
"""The types of user metadata."""

_NAMES: Final[dict[type, TypeName]] = {
    str: "str", int: "int", float: "float", bool: "bool",
}  # fmt: skip


class CropEmbedding(TypedDict):
    """A label's id and its vector, as `add_embedding` takes them."""

    uuid: str
    embedding: list[float]


class MetadataVerbs(FrameState):
    """The verbs that set what a frame says about itself."""

    def add_user_metadata(
        self, key: str, val: Scalar | None, val_type: TypeName | None = None
    ) -> None:
        """Set a metadata field; setting it again replaces it.

        Args:
            key: Letters, digits and underscores.
            val: Text, a whole number, a finite float or a truth value.
            val_type: Its type; needed only to say the type of None.

        Raises:
            InvalidInputError: If the key or value is unusable, or the value is not
                of the type declared.
        """
        found = None if val is None else _type_of(key, val)
        declared = _declared(key, found, val_type)
        self._set(key, val, declared)

    def add_user_metadata_list(
        self,
        key: str,
        val: Sequence[Scalar] | None,
        list_elt_type: TypeName | None = None,
    ) -> None:
        """Set a metadata field that holds a list; setting it again replaces it.

        Args:
            key: Letters, digits and underscores.
            val: Values of one type.
            list_elt_type: Their type; needed only for an empty list and for None.

        Raises:
            InvalidInputError: If the key or a value is unusable, the values are of
                several types, or not of the type declared.
        """
        if val is not None and not isinstance(val, list | tuple):
            raise refuse(f"{key}={val!r} is no list; use add_user_metadata for it.")
        kinds = {_type_of(key, item) for item in val or ()}
        if len(kinds) > 1:
            raise refuse(
                f"{key}={val!r} mixes {', '.join(sorted(kinds))}; give values of one type."
            )
        declared = _declared(key, next(iter(kinds), None), list_elt_type)
        self._set(key, None if val is None else list(val), f"list[{declared}]")

    def add_geo_latlong_data(self, lat: float, lon: float) -> None:
        """Say where the frame was captured, in degrees (EPSG:4326).

        Raises:
            InvalidInputError: If a number is not a finite float.
        """
        if not all(isinstance(x, float) and math.isfinite(x) for x in (lat, lon)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise refuse(f"lat={lat!r}, lon={lon!r}; give finite floats.")
        self._place = (lat, lon)

    def add_frame_embedding(self, *, embedding: list[float], model_id: str = "") -> None:
        """Give the frame its vector.

        Args:
            embedding: Two finite numbers or more.
            model_id: What made the vector.

        Raises:
            InvalidInputError: If the vector is unusable.
        """
        self._embedding = check_embedding("embedding", embedding)
        self._model_id = check_text("model_id", model_id)

    def add_embedding(
        self,
        *,
        embedding: list[float],
        crop_embeddings: list[CropEmbedding] | None = None,
        model_id: str = "",
    ) -> None:
        """Give the frame its vector, and its labels theirs.

        Raises:
            InvalidInputError: If a vector is unusable or a label was not added.
        """
        self.add_frame_embedding(embedding=embedding, model_id=model_id)
        for crop in crop_embeddings or []:
            self.add_crop_embedding(
                label_id=crop["uuid"], embedding=crop["embedding"], model_id=model_id
            )

    @property
    def user_metadata(self) -> dict[str, Any]:
        """The metadata set here, by key."""
        return {key.removeprefix(PREFIX): val for key, val in self._metadata.items()}

    def _set(self, key: str, val: object, type_name: str) -> None:
        self._metadata[PREFIX + key] = val
        self._types[PREFIX + key] = type_name


def _type_of(key: str, val: object) -> TypeName:
    name = _NAMES.get(type(val))
    if name is None:
        raise refuse(
            f"{key}={val!r} is {type(val).__name__}; give str, int, float or bool."
        )
    if name == "float" and not math.isfinite(cast("float", val)):
        raise refuse(f"{key}={val!r} is not finite; give a finite number, or None.")
    return name


def _declared(key: str, found: TypeName | None, declared: TypeName | None) -> TypeName:
    if not is_key(key):
        raise refuse(
            f"{key!r} cannot name metadata: keys are letters, digits and underscores.",
            "name.invalid",
        )
    if declared is not None and declared not in _NAMES.values():
        raise refuse(f"{key}: type {declared!r}; give str, int, float or bool.")
    if found is not None and declared is not None and found != declared:
        raise refuse(f"{key} is {found} and was declared {declared}; they must agree.")
    kind = found or declared
    if kind is None:
        raise refuse(f"{key} has no value and no type; declare one of str, int, float, bool.")
    return kind
