"""SQL of one SELECT on named tables: what else it could do is refused before it runs.

Polars' SQL also makes, drops and changes tables of its session, and reads files and
URLs by table functions. A version cannot be changed and a query is no way to files.
"""

import re
from collections.abc import Collection
from typing import Final

from lakehouse.errors import InvalidInputError

_TOKEN: Final = re.compile(
    r"""
    (?P<skip> \s+ | --[^\n]* | \#[^\n]* | /\*.*?\*/ )
  | (?P<text> '(?:[^']|'')*' | \$(\w*)\$.*?\$\3\$ )
  | (?P<quoted> "(?:[^"]|"")*" | `[^`]*` )
  | (?P<word> [^\W\d]\w* )
  | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_STARTS: Final = ("select", "with", "(")
# Words that begin another statement; after WITH one of them may follow its tables.
_STATEMENTS: Final = frozenset(
    {
        "alter", "analyze", "attach", "begin", "call", "commit", "copy", "create",
        "delete", "describe", "drop", "explain", "export", "import", "insert", "install",
        "load", "merge", "pragma", "reset", "rollback", "set", "show", "truncate",
        "update", "use", "vacuum",
    }
)  # fmt: skip
_FROM: Final = frozenset({"from", "join"})
# A function by one of these names reads a file, wherever it stands.
_READS: Final = re.compile(r"(read|scan)_\w+")


def check_select(query: str, tables: Collection[str]) -> None:
    """Check that a query is one SELECT that names no file.

    Args:
        query: The SQL.
        tables: The tables that it may read, for the message.

    Raises:
        InvalidInputError: If it is anything else; what is refused is named.
    """
    tokens = [
        (str(match.lastgroup), match[0])
        for match in _TOKEN.finditer(query)
        if match.lastgroup != "skip" and match["skip"] is None
    ]
    while tokens and tokens[-1][1] == ";":
        tokens.pop()
    texts = [text.lower() if kind == "word" else text for kind, text in tokens]
    if not texts:
        raise _refused("it is empty", tables)
    if texts[0] not in _STARTS:
        raise _refused(f"{tokens[0][1].upper()} is no SELECT", tables)
    if ";" in texts:
        raise _refused("there is a second statement", tables)
    for place, (kind, text) in enumerate(tokens):
        before = texts[place - 1] if place else ""
        after = texts[place + 1] if place + 1 < len(texts) else ""
        name = text.strip('"`').lower()
        if kind in {"word", "quoted"} and after == "(" and _READS.fullmatch(name):
            raise _refused(f"{name}() reads a file", tables)
        if before in _FROM and kind == "text":
            raise _refused(f"{text} is a file", tables)
        # A column of such a name stands behind a comma, a point or another word.
        if kind == "word" and before in {")", "("} and name in _STATEMENTS:
            raise _refused(f"{text.upper()} is no SELECT", tables)


def _refused(reason: str, tables: Collection[str]) -> InvalidInputError:
    return InvalidInputError(
        f"The query is not run: {reason}. It is one SELECT on the tables "
        f"{', '.join(tables)}; versions do not change, and files are not read.",
        kind="sql.refused",
    )
