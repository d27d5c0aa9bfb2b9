"""How work is measured: seconds, peak memory, bytes written; in a fresh process."""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Measured:
    """The cost of one piece of work."""

    seconds: list[float] = field(default_factory=list[float])
    peak_gib: float = 0.0
    """Peak memory of the process, imports included."""
    written: int = 0
    """Bytes added to the folder."""
    checksum: tuple[int, int] = (0, 0)

    def and_then(self, other: "Measured") -> "Measured":
        """The times of both runs; peak, bytes and checksum of the other one."""
        return replace(other, seconds=self.seconds + other.seconds)

    @property
    def best(self) -> float:
        """The shortest time: the one least disturbed by other work on the machine."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The median time."""
        return statistics.median(self.seconds)


class Timer:
    """A context manager that collects the seconds of each block inside it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    @contextmanager
    def __call__(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds.append(time.perf_counter() - started)


def apart(
    work: Callable[..., Measured], *args: Any, cache: Path | None = None
) -> Measured:
    """Run work in a fresh process, and measure its peak memory too.

    Args:
        work: A function at the top level of a module, as pickling needs.
        *args: Its arguments.
        cache: The local cache folder of the process: key indexes, vector codes.
    """
    context = multiprocessing.get_context("spawn")
    if cache is not None:
        os.environ["LAKEHOUSE_CACHE"] = str(cache)
    with context.Pool(1) as pool:
        return pool.apply(_with_peak, (work, args))


def _with_peak(work: Callable[..., Measured], args: tuple[Any, ...]) -> Measured:
    measured = work(*args)
    # Not getrusage: its peak includes the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = [line.split()[1] for line in status if line.startswith("VmHWM:")]
    measured.peak_gib = int(peak) / 1024**2
    return measured


def size_of(folder: Path) -> int:
    """Bytes on the disk below a folder; a file with two hard links counts once."""
    stats = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum({stat.st_ino: stat.st_size for stat in stats}.values())
