"""How far a verification is: told to whoever asked, step by step."""

from collections.abc import Callable
from typing import Literal

__all__ = ["Stage", "Tell", "silent"]

Stage = Literal["ledger", "files", "rows", "keys"]
"""What is counted: entries, bytes, rows, or parts of the keys."""

Tell = Callable[[Stage, int, int], None]
"""Called with the stage, how much of it is done, and how much there is."""


def silent(stage: Stage, done: int, total: int) -> None:
    """Tell nobody."""
