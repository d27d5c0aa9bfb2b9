"""Media: the pictures and masks that frames and labels name, wherever they lie.

Only their names are kept in a lake. A name with a scheme, or an absolute path, is
where its medium is; any other is looked for below `connect(media_root=…)`, and
below the current folder where no root is set. Read through fsspec.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import fsspec.core

from lakehouse.errors import NotFoundError, StorageError

__all__ = ["Media", "is_relative"]

_MISSING: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class Media:
    """Where media lie, and how they are read.

    >>> Media("s3://bucket/images").url("a.png")
    's3://bucket/images/a.png'
    >>> Media("s3://bucket/images").url("/data/a.png")
    '/data/a.png'
    """

    root: str | None = None
    """What relative names are below; None is the current folder."""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """`AWS_…` settings, for media on S3."""

    def url(self, name: str) -> str:
        """Where the medium of that name is."""
        if self.root is None or not is_relative(name):
            return name
        return f"{self.root.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes:
        """The bytes of a medium.

        Raises:
            NotFoundError: If there is none.
            StorageError: If it cannot be read.
        """
        url = self.url(name)
        try:
            filesystem, path = fsspec.core.url_to_fs(url, **self._options(url))
            data: bytes = filesystem.cat_file(path)
        except _MISSING as error:
            raise NotFoundError(
                f"There is no medium at {url}.", kind="media.missing"
            ) from error
        except (OSError, ValueError, ImportError) as error:
            raise StorageError(
                f"The medium at {url} cannot be read: {error}.", kind="media.unreadable"
            ) from error
        return data

    def _options(self, url: str) -> dict[str, Any]:
        if not url.startswith("s3://") or not self.options:
            return {}
        option = self.options.get
        region = option("AWS_REGION")
        return {
            "key": option("AWS_ACCESS_KEY_ID"),
            "secret": option("AWS_SECRET_ACCESS_KEY"),
            "token": option("AWS_SESSION_TOKEN"),
            "endpoint_url": option("AWS_ENDPOINT_URL"),
            "client_kwargs": {"region_name": region} if region else {},
        }


def is_relative(name: str) -> bool:
    """Whether a name tells no place by itself.

    >>> is_relative("train/a.png"), is_relative("s3://bucket/a.png")
    (True, False)
    """
    return "://" not in name and not name.startswith("/")
