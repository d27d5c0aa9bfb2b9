"""Creation: version 0 of a collection, the empty one.

It is decided in the ledger and then published, as every version is.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

import polars as pl

from lakehouse.delta.create import creation_actions
from lakehouse.ledger.collection import Collection
from lakehouse.ledger.ledger import Entry
from lakehouse.model.contracts import COLLECTION_TABLES, LIVE_TABLES
from lakehouse.model.row_hash import Fingerprint
from lakehouse.transactions.commit import PlannedEntry, commit_first


def create_collection(
    collection: Collection,
    *,
    frame_metadata: Mapping[str, pl.DataType] | None = None,
    label_metadata: Mapping[str, pl.DataType] | None = None,
    frame_embedding_model: str | None = None,
    label_embedding_model: str | None = None,
    author: str | None = None,
) -> None:
    """Decide version 0 of a collection, unless it is there; complete it if it was cut short.

    Args:
        collection: The collection to be made.
        frame_metadata: Metadata columns of frames, `user__` included, and their types.
        label_metadata: The same of labels.
        frame_embedding_model: What makes the vectors of frames.
        label_embedding_model: What makes the vectors of labels.
        author: Whom version 0 names.

    Raises:
        StorageError: If the store failed; the same call completes it.
    """
    extras = {"frames": frame_metadata or {}, "labels": label_metadata or {}}
    models = {
        "frame_embeddings": frame_embedding_model,
        "label_embeddings": label_embedding_model,
    }

    def plan() -> PlannedEntry[None]:
        actions = {
            table: tuple(
                creation_actions(
                    collection.table_path(table),
                    collection.contract(table),
                    # A change log has the columns of its live table.
                    extra_columns=extras.get(table.removesuffix("_changes"), {}),
                    column_metadata=_model_note(
                        models.get(table.removesuffix("_changes"))
                    ),
                )
            )
            for table in COLLECTION_TABLES
        }
        entry = Entry(
            version=0,
            kind="create",
            commit_id=uuid.uuid4().hex,
            time=datetime.now(UTC),
            content_version=0,
            author=author,
            rows=dict.fromkeys(LIVE_TABLES, 0),
            fingerprint=dict.fromkeys(LIVE_TABLES, Fingerprint.zero().text),
            class_map=collection.classes().version,
            actions=actions,
        )
        return PlannedEntry(entry, None)

    commit_first(collection, plan)


def _model_note(model: str | None) -> dict[str, dict[str, object]]:
    return {} if model is None else {"embedding": {"ml.model": model}}
