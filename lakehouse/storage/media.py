"""Media: the pictures and masks that frames and labels name, wherever they lie.

Only their names are kept in a lake. A name with a scheme, or an absolute path, is
where its medium is; any other is looked for below `connect(media_root=…)`, and
below the current folder where no root is set. Read through fsspec.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import fsspec.core
import xxhash

from lakehouse.errors import NotFoundError, StorageError

CHECKSUMS: Final[Mapping[str, Callable[[], Any]]] = {
    "md5": partial(hashlib.md5, usedforsecurity=False),
    "sha1": partial(hashlib.sha1, usedforsecurity=False),
    "sha256": hashlib.sha256,
    "xxh3": xxhash.xxh3_64,
}
"""The algorithms of checksums of media."""

_BLOCK_BYTES: Final = 1024**2
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
            raise _gone(url) from error
        except (OSError, ValueError, ImportError) as error:
            raise _unreadable(url, error) from error
        return data

    def exists(self, name: str) -> bool:
        """Whether there is a medium of that name.

        Raises:
            StorageError: If it cannot be found out.
        """
        url = self.url(name)
        try:
            filesystem, path = fsspec.core.url_to_fs(url, **self._options(url))
            filesystem.info(path)
        except _MISSING:
            return False
        except (OSError, ValueError, ImportError) as error:
            raise _unreadable(url, error) from error
        return True

    def checksum(self, name: str, algorithm: str) -> str:
        """The checksum of a medium, as `<algorithm>:<hexadecimal digits>`.

        Args:
            name: Its name.
            algorithm: One of `CHECKSUMS`.

        Raises:
            NotFoundError: If there is none.
            StorageError: If it cannot be read.
        """
        url = self.url(name)
        hasher = CHECKSUMS[algorithm]()
        try:
            filesystem, path = fsspec.core.url_to_fs(url, **self._options(url))
            with filesystem.open(path, "rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    hasher.update(block)
        except _MISSING as error:
            raise _gone(url) from error
        except (OSError, ValueError, ImportError) as error:
            raise _unreadable(url, error) from error
        return f"{algorithm}:{hasher.hexdigest()}"

    def _options(self, url: str) -> dict[str, Any]:
        # Settings are for S3 alone; other file systems would refuse them as unknown.
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


def _gone(url: str) -> NotFoundError:
    return NotFoundError(f"There is no medium at {url}.", kind="media.missing")


def _unreadable(url: str, error: Exception) -> StorageError:
    return StorageError(
        f"The medium at {url} cannot be read: {error}.", kind="media.unreadable"
    )


def checksum_problem(value: object) -> str | None:
    """Why a value is no checksum; None when it is one.

    >>> checksum_problem("md5:d41d8cd98f00b204e9800998ecf8427e")
    >>> checksum_problem("crc:00")
    "is 'crc:00': a checksum is md5:…, sha1:…, sha256:… or xxh3:…, in hexadecimal"
    """
    algorithm, _, digits = str(value).partition(":")
    # -1 digits match no text, which an unknown algorithm must not.
    length = CHECKSUMS[algorithm]().digest_size * 2 if algorithm in CHECKSUMS else -1
    if isinstance(value, str) and re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", digits):
        return None
    known = ", ".join(f"{name}:…" for name in list(CHECKSUMS)[:-1])
    last = list(CHECKSUMS)[-1]
    return f"is {value!r}: a checksum is {known} or {last}:…, in hexadecimal"


def is_relative(name: str) -> bool:
    """Whether a name is relative: neither a URL nor an absolute path.

    >>> is_relative("train/a.png"), is_relative("s3://bucket/a.png")
    (True, False)
    """
    return "://" not in name and not name.startswith("/")
