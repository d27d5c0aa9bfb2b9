"""A prefix of an S3 bucket.

Small objects go through s3fs, Parquet files through Polars. `put_new` is one
conditional PUT (`If-None-Match: *`), never a multipart upload.
"""

import io
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

import polars as pl
import xxhash

from lakehouse.errors import NotFoundError, StorageError
from lakehouse.storage.store import (
    COMPRESSION,
    ROW_GROUP_ROWS,
    StoredFile,
    Written,
    scan_parquet,
)

# What stores answer to a conditional PUT of a key that is taken: 412, or 409 where
# another PUT of it is under way.
_TAKEN: Final = frozenset(
    {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
)
# Errors of botocore that the same call meets again, whenever it is made.
_NO_CREDENTIALS: Final = frozenset({"NoCredentialsError", "PartialCredentialsError"})
_WRONG_SETTINGS: Final = frozenset({"ParamValidationError", "InvalidRegionError"})
_BLOCK_BYTES: Final = 8 * 1024**2  # one GET each


def s3_files(options: Mapping[str, str]) -> Any:  # noqa: ANN401 - s3fs has no types
    """The file system that `AWS_…` settings lead to."""
    import s3fs  # noqa: PLC0415 - heavy, so only when used

    client = {"region_name": options.get("AWS_REGION")}
    return s3fs.S3FileSystem(
        key=options.get("AWS_ACCESS_KEY_ID"),
        secret=options.get("AWS_SECRET_ACCESS_KEY"),
        token=options.get("AWS_SESSION_TOKEN"),
        endpoint_url=options.get("AWS_ENDPOINT_URL"),
        client_kwargs={name: value for name, value in client.items() if value},
        # Another writer may have changed the listing since, and two lakes may differ in
        # their credentials: neither may come from a cache.
        use_listings_cache=False,
        skip_instance_cache=True,
    )


class S3Store:
    """A `Store` at `s3://bucket/prefix`."""

    def __init__(
        self, root: str, storage_options: Mapping[str, str] | None = None
    ) -> None:
        self._root = root.rstrip("/")
        self._options = dict(storage_options or {})

    @property
    def root(self) -> str:
        """`s3://bucket/prefix`."""
        return self._root

    @property
    def storage_options(self) -> Mapping[str, str]:
        """The `AWS_…` settings, as deltalake and Polars take them."""
        return self._options

    @cached_property
    def _files(self) -> Any:  # noqa: ANN401 - s3fs has no types
        return s3_files(self._options)

    @property
    def at_once(self) -> int:
        """Sixteen: each is mostly waiting for the answer."""
        return 16

    def read(self, path: str) -> bytes:
        """The bytes of an object.

        Raises:
            NotFoundError: If there is none.
            StorageError: If the store failed.
        """
        with _map_errors(path):
            data: bytes = self._files.cat_file(self.uri(path))
            return data

    def exists(self, path: str) -> bool:
        """Whether there is an object at that path."""
        with _map_errors(path):
            try:
                self._files.call_s3("head_object", **self._object(path))
            except FileNotFoundError:
                return False
            return True

    def put(self, path: str, data: bytes) -> None:
        """Write an object, in place of one that is there."""
        with _map_errors(path):
            self._files.call_s3("put_object", **self._object(path), Body=data)

    def put_new(
        self,
        path: str,
        data: bytes,
        *,
        durable: bool = False,
        after: Sequence[str] = (),
    ) -> bool:
        """Write an object unless there is one; False when there is.

        Raises:
            StorageError: If the answer was lost, or the store failed.
        """
        del durable, after  # an acknowledged PUT is durable
        with _map_errors(path):
            try:
                self._files.call_s3(
                    "put_object", **self._object(path), Body=data, IfNoneMatch="*"
                )
            except FileExistsError:
                return False
            except Exception as error:
                if _code(error) in _TAKEN:
                    return False
                raise
            return True

    def flush(self, paths: Sequence[str]) -> None:
        """Nothing: an acknowledged PUT is durable."""

    def names(self, folder: str) -> list[str]:
        """Names of the entries directly in a folder; none if it is not there."""
        with _map_errors(folder):
            try:
                entries: list[str] = self._files.ls(self.uri(folder), detail=False)
            except FileNotFoundError:
                return []
            return [name.rstrip("/").rsplit("/", 1)[-1] for name in entries]

    def files(self, folder: str) -> list[StoredFile]:
        """Every object below a folder, by path."""
        with _map_errors(folder):
            try:
                listed: dict[str, Any] = self._files.find(self.uri(folder), detail=True)
            except FileNotFoundError:
                return []
            start = len(self._root.removeprefix("s3://")) + 1
            return [
                StoredFile(name[start:], int(facts["size"]), facts["LastModified"])
                for name, facts in sorted(listed.items())
            ]

    def delete(self, path: str) -> None:
        """Remove an object; that it is not there is fine."""
        with _map_errors(path):
            self._files.call_s3("delete_object", **self._object(path))

    def write_table(
        self, path: str, rows: pl.DataFrame, *, durable: bool = False
    ) -> Written:
        """Write rows as one Parquet file, and return its size and checksum."""
        del durable
        buffer = io.BytesIO()
        rows.write_parquet(
            buffer, compression=COMPRESSION, row_group_size=ROW_GROUP_ROWS
        )
        data = buffer.getvalue()
        with _map_errors(path):
            self._files.pipe_file(self.uri(path), data)
        return Written(len(data), xxhash.xxh3_64_hexdigest(data))

    def checksum(self, path: str) -> Written:
        """The size and checksum of an object as it lies there, read in blocks.

        Raises:
            NotFoundError: If there is none.
            StorageError: If the store failed.
        """
        hasher, size = xxhash.xxh3_64(), 0
        with (
            _map_errors(path),
            self._files.open(
                self.uri(path), block_size=_BLOCK_BYTES, cache_type="readahead"
            ) as file,
        ):
            while block := file.read(_BLOCK_BYTES):
                hasher.update(block)
                size += len(block)
        return Written(size, hasher.hexdigest())

    def share(self, source: str, target: str) -> None:
        """Copy an object inside the store."""
        with _map_errors(source):
            self._files.cp_file(self.uri(source), self.uri(target))

    def scan(
        self,
        paths: Sequence[str],
        schema: pl.Schema | None = None,
        *,
        row_index: str | None = None,
    ) -> pl.LazyFrame:
        """The rows of Parquet files as one table; see `Store.scan`."""
        uris = [self.uri(path) for path in paths]
        return scan_parquet(uris, schema, self._options, row_index=row_index)

    def uri(self, path: str) -> str:
        """`s3://bucket/prefix/path`."""
        return f"{self._root}/{path}" if path else self._root

    def __repr__(self) -> str:
        return f"S3Store({self._root!r})"

    def __reduce__(self) -> tuple[type["S3Store"], tuple[str, dict[str, str]]]:
        return S3Store, (self._root, self._options)

    def _object(self, path: str) -> dict[str, str]:
        bucket, _, key = self.uri(path).removeprefix("s3://").partition("/")
        return {"Bucket": bucket, "Key": key}


@contextmanager
def _map_errors(path: str) -> Generator[None]:
    """Raise errors of the S3 client as those of this package."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(
            f"There is nothing at {path}.", kind="store.missing"
        ) from error
    except PermissionError as error:
        raise StorageError(
            f"{path}: {error}. Check the credentials and the bucket's policy.",
            kind="store.forbidden",
        ) from error
    except Exception as error:
        if _code(error) == "NotImplemented":
            raise StorageError(
                f"{path}: the store does not know conditional PUT ({error}). Use one "
                "that does; the ledger cannot work without.",
                kind="store.no_conditional_put",
            ) from error
        if type(error).__name__ in _NO_CREDENTIALS:
            raise StorageError(
                f"{path}: {error}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and "
                "AWS_ENDPOINT_URL for a store that is not AWS), as environment variables "
                "or in storage_options.",
                kind="store.no_credentials",
            ) from error
        if _code(error) == "NoSuchBucket":
            raise NotFoundError(
                f"{path}: {error}. The bucket does not exist.", kind="store.no_bucket"
            ) from error
        if isinstance(error, ValueError) or type(error).__name__ in _WRONG_SETTINGS:
            # botocore's words for an endpoint or a bucket name that cannot be one.
            raise StorageError(
                f"{path}: {error}. Mend the root or storage_options; AWS_ENDPOINT_URL is "
                "like https://host:port.",
                kind="store.settings",
            ) from error
        if not isinstance(error, OSError) and not _is_client_error(error):
            raise
        raise StorageError(
            f"{path}: {error}. The same call may succeed when made again.",
            kind="store.s3_error",
            retryable=True,
        ) from error


def _is_client_error(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in {
        "botocore",
        "aiobotocore",
        "aiohttp",
    }


def _code(error: BaseException | None) -> str | None:
    """The error code that S3 answered with, however deep s3fs wrapped it."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code"))
        error = error.__cause__
    return None
