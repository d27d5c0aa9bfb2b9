"""The client's collection campaigns: they ran on the service, and are refused here."""

from collections.abc import Sequence
from typing import IO, Any, NoReturn

from lakehouse.aquarium.client import Client
from lakehouse.aquarium.frames import LabeledFrame
from lakehouse.aquarium.values import refused

__all__ = ["CollectionClient"]


class CollectionClient(Client):
    """The client with the calls on campaigns, each of which says what to do instead."""

    def download_to_file(self, signed_url: str, filelike: IO[Any]) -> bool:
        """Refused.

        Raises:
            InvalidInputError: Always.
        """
        _refuse(signed_url, filelike)

    def get_unlabeled_results_for_issue(
        self,
        *,
        issue_uuid: str,
        unlabeled_dataset_name: str | None,
        sort_status: str | None = "UNSORTED",
        unlabeled_only: bool | None = True,
        retrigger_search: bool | None = False,
    ) -> list[dict[str, Any]]:
        """Refused.

        Raises:
            InvalidInputError: Always.
        """
        del unlabeled_only, retrigger_search
        _refuse(issue_uuid, unlabeled_dataset_name, sort_status)

    def sync_state(
        self,
        target_project_names: Sequence[str] = (),
        target_issue_uuids: Sequence[str] = (),
    ) -> None:
        """Refused.

        Raises:
            InvalidInputError: Always.
        """
        _refuse(target_project_names, target_issue_uuids)

    def sample_probabilities(self, frames: Sequence[LabeledFrame]) -> NoReturn:
        """Refused.

        Raises:
            InvalidInputError: Always.
        """
        _refuse(frames)

    def save_for_collection(
        self,
        override_sampling_threshold: float | None = None,
        target_sample_count: int | None = None,
        dry_run: bool = False,
    ) -> None:
        """Refused.

        Raises:
            InvalidInputError: Always.
        """
        _refuse(override_sampling_threshold, target_sample_count, dry_run)


def _refuse(*_: object) -> NoReturn:
    raise refused(
        "Collection campaigns ran on the service. Keep the examples in a segment of type "
        "'collection_campaign', and look for frames like them with snapshot.similar(…).",
        "aquarium.campaign",
    )
