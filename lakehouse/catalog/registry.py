"""The registry of a project: a row for each dataset and inference set.

A row says what its collection is and whether it may be written. It is read anew each
time, since other processes archive, clone and describe the same collection.
"""

from dataclasses import dataclass
from typing import Any, Literal

from lakehouse.errors import ArchivedError, ConflictError, InvalidInputError
from lakehouse.ledger.single_table import SingleTable, changed_row, pick

Mode = Literal["STREAMING", "BATCH"]
"""A STREAMING collection takes changes at any time; a BATCH one takes a single load."""

MUTABLE_PREFIX = "MUTABLE_"
"""What the name of a BATCH dataset's mutable clone begins with."""


def check_mode(mode: str) -> None:
    """Refuse a mode that does not exist.

    Raises:
        InvalidInputError: If it is neither STREAMING nor BATCH.
    """
    if mode not in {"STREAMING", "BATCH"}:
        raise InvalidInputError(
            f"mode is 'STREAMING' or 'BATCH', not {mode!r}.", kind="dataset.mode"
        )


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """The row of one dataset or inference set."""

    registry: SingleTable
    kind: Literal["dataset", "inference_set"]
    key: str
    """The dataset's name; of an inference set `dataset/name`."""

    def read(self) -> dict[str, Any]:
        """The fields as they are now.

        Raises:
            NotFoundError: If there is no such row; the nearest name is suggested.
        """
        return pick(self.registry.rows(), self.kind, self.key)

    def update(self, fields: dict[str, Any]) -> None:
        """Replace some fields."""
        self.registry.update(
            lambda rows: changed_row(rows, self.kind, self.key, lambda _: fields)
        )

    @property
    def noun(self) -> str:
        """What messages call it: dataset, or inference set."""
        return self.kind.replace("_", " ")

    def archived_error(self, name: str) -> ArchivedError:
        """The error of a write to an archived collection."""
        return ArchivedError(
            f"The {self.noun} {name!r} is archived. Undo it with its "
            "archive(archived=False).",
            kind=f"{self.kind}.archived",
        )

    def cloning_error(self, name: str) -> ConflictError:
        """The error of a write to a clone whose files are not there yet."""
        return ConflictError(
            f"The {self.noun} {name!r} is still being cloned. Wait until "
            "is_ready; project.finish_clones() goes on with it.",
            kind=f"{self.kind}.cloning",
        )

    def immutable_error(self, name: str, upload_id: str) -> InvalidInputError:
        """The error of a second load of a BATCH collection.

        Args:
            name: What users call it.
            upload_id: The upload that loaded it.
        """
        clone = self.read()["clone"]
        if self.kind == "inference_set":
            hint = 'Load a new one, or create one with mode="STREAMING".'
        elif clone is not None:
            hint = f"Its mutable clone is {clone!r}."
        else:
            hint = (
                f"dataset.clone_as_mutable() makes {MUTABLE_PREFIX + name!r}, which "
                "takes changes; or load a new one."
            )
        return InvalidInputError(
            f"The {self.noun} {name!r} is a BATCH {self.noun} and was loaded "
            f"already, by upload {upload_id}: it does not change any more. {hint}",
            kind=f"{self.kind}.immutable",
        )
