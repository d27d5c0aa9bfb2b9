"""What a project's registry says of a collection: mode, metadata, archived or not.

A BATCH collection is loaded once, all or nothing, and does not change any more.
"""

import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import polars as pl

from lakehouse.catalogue import SingleTable
from lakehouse.collection import Collection
from lakehouse.errors import ArchivedError, ConflictError, InvalidInputError
from lakehouse.settings import Settings, changed_row, pick
from lakehouse.uploads import uploads_table
from lakehouse.versioned import Versioned

__all__ = ["Mode", "Registered", "check_mode"]

Mode = Literal["STREAMING", "BATCH"]
"""STREAMING collections change for ever; a BATCH one is loaded once, whole."""


def check_mode(mode: str) -> None:
    """Refuse what is no mode.

    Raises:
        InvalidInputError: If it is neither STREAMING nor BATCH.
    """
    if mode not in {"STREAMING", "BATCH"}:
        raise InvalidInputError(
            f"mode is 'STREAMING' or 'BATCH', not {mode!r}.", kind="dataset.mode"
        )


class Registered(Versioned):
    """A collection with a row in the registry of its project."""

    def __init__(
        self,
        name: str,
        collection: Collection,
        registry: SingleTable,
        settings: Settings,
    ) -> None:
        super().__init__(name, collection, settings)
        self._registry = registry

    @property
    @abstractmethod
    def _kind(self) -> str:
        """`dataset` or `inference_set`."""

    @property
    @abstractmethod
    def _key(self) -> str:
        """The name of its row."""

    @property
    def mode(self) -> str:
        """STREAMING, or BATCH."""
        return str(self._row()["mode"])

    @property
    def is_archived(self) -> bool:
        """Whether it is archived: readable, and not written."""
        return bool(self._row()["archived"])

    @property
    def metadata(self) -> dict[str, Any]:
        """Its own metadata."""
        found: dict[str, Any] = json.loads(self._row()["metadata"] or "{}")
        return found

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Replace its own metadata by anything JSON can hold."""
        self._update({"metadata": json.dumps(dict(metadata))})

    @property
    def is_ready(self) -> bool:
        """Whether it can be read; a clone cannot until its files are there."""
        return not self._row()["clone_of"] or self.collection.ledger.head() is not None

    @property
    def clone_of(self) -> str | None:
        """The dataset that it was cloned from."""
        found: str | None = self._row()["clone_of"]
        return found

    @property
    def clone_name(self) -> str | None:
        """The newest dataset that was cloned from it."""
        found: str | None = self._row()["clone"]
        return found

    def archive(self, *, archived: bool = True) -> None:
        """Hide it from lists and refuse writes to it, or undo that."""
        self._update({"archived": archived})

    def _require_writable(self, upload_id: str | None) -> None:
        self._require_active()
        if self.is_mutable:
            return
        loaded = self._loaded_by()
        # The very same upload may be sent again: it is the one that is there.
        if loaded and upload_id not in loaded:
            raise InvalidInputError(
                f"The {self._what} {self.name!r} is a BATCH {self._what} and was loaded "
                f"by upload {loaded[0]}: it does not change any more. {self._way_out}",
                kind=f"{self._kind}.immutable",
            )

    @property
    def is_mutable(self) -> bool:
        """Whether it takes changes for ever; a BATCH one is loaded once, whole."""
        return self.mode != "BATCH"

    @property
    def _way_out(self) -> str:
        """What to do where a BATCH collection takes no more."""
        return 'Load a new one, or create one with mode="STREAMING".'

    def _loaded_by(self) -> list[str]:
        """The uploads that loaded a BATCH collection, or are about to."""
        rows = uploads_table(self.collection, self.name, "BATCH")
        return rows.filter(pl.col("status") != "FAILED")["upload_id"].to_list()

    @property
    def _what(self) -> str:
        return self._kind.replace("_", " ")

    def _require_active(self) -> None:
        if self.is_archived:
            raise ArchivedError(
                f"The {self._what} {self.name!r} is archived. Undo it with its "
                "archive(archived=False).",
                kind=f"{self._kind}.archived",
            )
        if not self.is_ready:
            raise ConflictError(
                f"The {self._what} {self.name!r} is still being cloned. Wait until "
                "is_ready; project.finish_clones() goes on with it.",
                kind=f"{self._kind}.cloning",
            )

    def _row(self) -> dict[str, Any]:
        return pick(self._registry.rows(), self._kind, self._key)

    def _update(self, fields: dict[str, Any]) -> None:
        self._registry.update(
            lambda rows: changed_row(rows, self._kind, self._key, lambda _: fields)
        )
