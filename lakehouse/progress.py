"""How far long work is: told to whoever asked, step by step."""

from collections.abc import Callable
from typing import Literal

__all__ = ["Stage", "Tell", "silent"]

Stage = Literal["ledger", "files", "rows", "keys", "parts"]
"""What is counted: entries, bytes, rows, parts of the keys, parts of a load."""

Tell = Callable[[Stage, int, int], None]
"""Called with the stage, how much of it is done, and how much there is."""


def silent(stage: Stage, done: int, total: int) -> None:
    """Tell nobody."""
