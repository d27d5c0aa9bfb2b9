"""How far a verification is: told to whoever asked, step by step."""

from collections.abc import Callable
from typing import Literal

__all__ = ["Stage", "Tell", "silent"]

Stage = Literal["ledger", "files", "rows", "keys", "media"]
"""What is counted: entries, bytes, rows, parts of the keys, or media."""

Tell = Callable[[Stage, int, int], None]
"""Called with the stage, how much of it is done, and how much there is."""


def silent(stage: Stage, done: int, total: int) -> None:
    """Tell nobody."""
