"""Media: the pictures and masks that frames and labels name, wherever they lie.

Only their names are kept in a lake. Names come with data, from people whom nobody
asked, so every read of a medium passes the one policy of this file:

    local files     below `connect(media_root=…)`, or below the current folder
    s3://           with the settings of the lake
    http, https     if `connect(media_http=True)`; never hosts of private networks
    anything else   refused, chained URLs too; one image in a tar file may be named

Sizes and times are bounded. `docs/media.md` is the same for users.
"""

import hashlib
import http.client
import ipaddress
import os
import re
import socket
import stat
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO, Final, cast
from urllib.parse import unquote, urljoin, urlsplit

import fsspec
import xxhash

from lakehouse.errors import InvalidInputError, NotFoundError, StorageError

CHECKSUMS: Final[Mapping[str, Callable[[], Any]]] = {
    "md5": partial(hashlib.md5, usedforsecurity=False),
    "sha1": partial(hashlib.sha1, usedforsecurity=False),
    "sha256": hashlib.sha256,
    "xxh3": xxhash.xxh3_64,
}
"""The algorithms of checksums of media."""

MAX_READ_BYTES: Final = 1024**3
"""The largest medium that is read into memory."""
MAX_HASHED_BYTES: Final = 64 * 1024**3
"""The largest medium whose checksum is computed; it is read in blocks."""
MAX_SECONDS: Final = 120.0
"""How long one request for a medium may take over HTTP, redirects included."""

_BLOCK_BYTES: Final = 1024**2
_SOCKET_SECONDS: Final = 10.0
_MAX_REDIRECTS: Final = 3
_MISSING: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_WAY_OUT: Final = "docs/media.md lists what is read"
# Addresses of IPv6 that carry one of IPv4 in their last 32 bits, for translators.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Media:
    """Where media lie, and how they are read.

    >>> Media("s3://bucket/images").url("a.png")
    's3://bucket/images/a.png'
    >>> Media("s3://bucket/images").url("s3://other/a.png")
    's3://other/a.png'
    """

    root: str | None = None
    """What relative names are below, and local files must be; None is the current
    folder."""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """`AWS_…` settings, for media on S3."""
    allows_http: bool = False
    """Whether names with http:// or https:// are read at all."""

    def __post_init__(self) -> None:
        """Refuse a root of a kind that is not read."""
        scheme = "" if self.root is None else _scheme_of(self.root)
        if scheme not in {"", "file", "s3", "http", "https"}:
            raise InvalidInputError(
                f"media_root={self.root!r} is neither a folder nor an s3:// or "
                "https:// prefix.",
                kind="media.root",
            )

    def url(self, name: str) -> str:
        """Where the medium of that name is."""
        if self.root is None or not is_relative(name):
            return name
        return f"{self.root.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes:
        """The bytes of a medium.

        Raises:
            NotFoundError: If there is none.
            StorageError: If it cannot be read, or may not be: see the policy.
        """
        with _mapped(self.url(name)), self._open(name, MAX_READ_BYTES) as file:
            data = bytearray()
            while block := file.read(_BLOCK_BYTES):
                data += block
                # A server may send more than it announced.
                _check_size(self.url(name), len(data), MAX_READ_BYTES)
            return bytes(data)

    def exists(self, name: str) -> bool:
        """Whether there is a medium of that name.

        Raises:
            StorageError: If it cannot be found out, or may not be read.
        """
        try:
            with _mapped(self.url(name)), self._open(name, MAX_HASHED_BYTES):
                return True
        except NotFoundError:
            return False

    def checksum(self, name: str, algorithm: str) -> str:
        """The checksum of a medium, as `<algorithm>:<hexadecimal digits>`.

        Args:
            name: Its name.
            algorithm: One of `CHECKSUMS`.

        Raises:
            NotFoundError: If there is none.
            StorageError: If it cannot be read, or may not be.
        """
        hasher = CHECKSUMS[algorithm]()
        size = 0
        with _mapped(self.url(name)), self._open(name, MAX_HASHED_BYTES) as file:
            while block := file.read(_BLOCK_BYTES):
                hasher.update(block)
                size += len(block)
                _check_size(self.url(name), size, MAX_HASHED_BYTES)
        return f"{algorithm}:{hasher.hexdigest()}"

    # -------------------------------- POLICY -------------------------------- #

    @contextmanager
    def _open(self, name: str, max_bytes: int) -> Generator[BinaryIO]:
        """A medium as an open file, if the policy lets it be read."""
        url = self.url(name)
        _check_relative(name)
        scheme = _scheme_of(url)
        if "::" in name and "://" in name:
            with self._open_member(url, max_bytes) as file:
                yield file
        elif "://" in name and not _scheme_of(name):
            raise _refused(url, "it is neither a path nor a URL")
        elif scheme in {"", "file"}:
            path = self._local_path(url)
            size = _size_of_regular_file(path, url)
            _check_size(url, size, max_bytes)
            with open(path, "rb") as file:  # noqa: PTH123 - a Path would drop "//"
                yield file
        elif scheme == "s3":
            path = _s3_path(url)
            system = fsspec.filesystem("s3", **self._s3_options())
            info = system.info(path)
            if info["type"] != "file":
                raise FileNotFoundError(path)
            _check_size(url, int(info["size"]), max_bytes)
            with system.open(path, "rb", cache_type="readahead") as file:
                yield file
        elif scheme in {"http", "https"}:
            with self._open_http(url, max_bytes) as file:
                yield file
        else:
            raise _refused(url, f"{scheme}:// is no scheme that media are read from")

    def _local_path(self, url: str) -> str:
        """The real path of a local file below the root; links are followed first."""
        root = self.root or "."
        if _scheme_of(root) not in {"", "file"}:
            raise _refused(url, f"media_root is {root}, so no local file is read")
        root = os.path.realpath(os.path.expanduser(_without_scheme(root)))  # noqa: PTH111
        path = os.path.realpath(os.path.expanduser(_without_scheme(url)))  # noqa: PTH111
        if path != root and not path.startswith(root.rstrip("/") + "/"):
            reason = (
                f"it is outside of {root}: local files are read below media_root only. "
                "Set connect(media_root=…) to a folder that holds it"
            )
            raise _refused(url, reason)
        return path

    @contextmanager
    def _open_member(self, url: str, max_bytes: int) -> Generator[BinaryIO]:
        """An image within a tar file, as imports of WebDataset shards name it.

        It is the one chain that is read, and only of archives that may be read too.
        """
        member, _, archive = url.partition("::")
        is_tar = _scheme_of(member) == "tar" and "::" not in archive
        if not is_tar or _scheme_of(archive) not in {"file", "s3"}:
            raise _refused(url, "chained URLs are not read")
        if _scheme_of(archive) == "file":
            path = self._local_path(archive)
            _size_of_regular_file(path, archive)
            system = fsspec.filesystem("tar", fo=path)
        else:
            path = f"s3://{_s3_path(archive)}"
            options = self._s3_options()
            system = fsspec.filesystem(
                "tar", fo=path, target_protocol="s3", target_options=options
            )
        name = _without_scheme(member)
        _check_size(url, int(system.info(name)["size"]), max_bytes)
        with system.open(name, "rb") as file:
            yield file

    @contextmanager
    def _open_http(self, url: str, max_bytes: int) -> Generator[BinaryIO]:
        """The answer to a GET request; each redirect is held against the policy."""
        connection: http.client.HTTPConnection | None = None
        timer: threading.Timer | None = None
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                connection, target = self._connection(url)
                if timer is not None:
                    timer.cancel()
                # Without it a server that sends a byte now and then is read for ever.
                timer = threading.Timer(MAX_SECONDS, _shut, [connection])
                timer.daemon = True
                timer.start()
                connection.request("GET", target, headers={"User-Agent": "lakehouse"})
                response = connection.getresponse()
                location = response.getheader("Location")
                if response.status in {301, 302, 303, 307, 308} and location:
                    connection.close()
                    url = urljoin(url, location)
                    continue
                if response.status in {404, 410}:
                    raise FileNotFoundError(url)
                if response.status != 200:  # noqa: PLR2004 - OK
                    raise OSError(f"the server answers {response.status}")
                _check_size(
                    url, int(response.getheader("Content-Length") or 0), max_bytes
                )
                yield cast("BinaryIO", response)
                return
            raise OSError(f"it redirects more than {_MAX_REDIRECTS} times")
        finally:
            if timer is not None:
                timer.cancel()
            if connection is not None:
                _shut(connection)

    def _connection(self, url: str) -> tuple[http.client.HTTPConnection, str]:
        """A connection to the host of a URL that may be read, and the target there."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise _refused(url, "it is no http or https URL with a host")
        # Whoever sets the root trusts its host, also one within their own network.
        is_trusted = self.root is not None and url.startswith(
            self.root.rstrip("/") + "/"
        )
        if not is_trusted and not self.allows_http:
            reason = (
                "URLs with http and https are read only with connect(media_http=True)"
            )
            raise _refused(url, reason)
        make = _HTTPSConnection if parts.scheme == "https" else _HTTPConnection
        connection = make(parts.hostname, parts.port, timeout=_SOCKET_SECONDS)
        connection.is_trusted = is_trusted
        target = parts.path or "/"
        return connection, f"{target}?{parts.query}" if parts.query else target

    def _s3_options(self) -> dict[str, Any]:
        timeouts = {
            "connect_timeout": _SOCKET_SECONDS,
            "read_timeout": 60,
            "retries": {"max_attempts": 2},
        }
        options: dict[str, Any] = {"config_kwargs": timeouts}
        if not self.options:
            return options
        option = self.options.get
        region = option("AWS_REGION")
        return options | {
            "key": option("AWS_ACCESS_KEY_ID"),
            "secret": option("AWS_SECRET_ACCESS_KEY"),
            "token": option("AWS_SESSION_TOKEN"),
            "endpoint_url": option("AWS_ENDPOINT_URL"),
            "client_kwargs": {"region_name": region} if region else {},
        }


class _HTTPConnection(http.client.HTTPConnection):
    """A connection that is made only to an address of the public internet."""

    is_trusted: bool = False

    def connect(self) -> None:
        """Connect to the address that was checked; the name is not looked up again."""
        # A second look-up may have another answer: that is how checks are got around.
        answers = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        addresses = [str(sockaddr[0]) for *_, sockaddr in answers]
        private = [] if self.is_trusted else [a for a in addresses if _is_private(a)]
        if private:
            reason = (
                f"the host has the address {private[0]}, of a private or local network"
            )
            raise _refused(f"{self.host}:{self.port}", reason)
        self.sock = socket.create_connection((addresses[0], self.port), self.timeout)


class _HTTPSConnection(http.client.HTTPSConnection, _HTTPConnection):
    """The same with TLS: the certificate is held against the host's name."""


def _shut(connection: http.client.HTTPConnection) -> None:
    sock = connection.sock
    if sock is not None:
        with suppress(OSError):  # closed already
            sock.shutdown(socket.SHUT_RDWR)
    connection.close()


def _is_private(address: str) -> bool:
    """Whether an address is one that only this network reaches.

    >>> [_is_private(a) for a in ("169.254.169.254", "::ffff:10.0.0.1", "8.8.8.8")]
    [True, True, False]
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = inner or ip
    return not ip.is_global or ip.is_multicast


def _check_relative(name: str) -> None:
    # Servers take %2e%2e for "..", so a name that means it is refused as well.
    if is_relative(name) and ".." in re.split(r"[/\\]", unquote(name)):
        raise _refused(name, "`..` leads out of media_root")


def _size_of_regular_file(path: str, url: str) -> int:
    status = os.stat(path)  # noqa: PTH116 - as `open` takes it
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(path)
    # A pipe or a device would be read for ever.
    if not stat.S_ISREG(status.st_mode):
        raise _refused(url, "it is no regular file")
    return status.st_size


def _s3_path(url: str) -> str:
    bucket, _, key = _without_scheme(url).partition("/")
    if not bucket or not key:
        raise _refused(url, "it names no object: s3://bucket/key")
    return f"{bucket}/{key}"


def _check_size(url: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise _refused(url, f"it has more than the {max_bytes:,} bytes that are read")


def _scheme_of(url: str) -> str:
    match = _SCHEME.match(url)
    return match.group(1).lower() if match else ""


def _without_scheme(url: str) -> str:
    return _SCHEME.sub("", url, count=1)


@contextmanager
def _mapped(url: str) -> Generator[None]:
    """Raise whatever reading raises as an error of the lake that names the medium."""
    try:
        yield
    except (NotFoundError, StorageError):
        raise
    except _MISSING as error:
        message = f"There is no medium at {url}."
        raise NotFoundError(message, kind="media.missing") from error
    # Libraries raise their own kinds: of credentials, of archives, of TLS. One bad
    # name is one problem, whatever it makes them raise.
    except Exception as error:
        raise StorageError(
            f"The medium at {url} cannot be read: {str(error) or type(error).__name__}.",
            kind="media.unreadable",
        ) from error


def _refused(url: str, reason: str) -> StorageError:
    return StorageError(
        f"The medium at {url} cannot be read: {reason}; {_WAY_OUT}.",
        kind="media.refused",
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
