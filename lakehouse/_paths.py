"""Where the declarations live: the top-level `tables/` and `jobs/` folders.

A checkout, editable install included, reads them in place. A wheel carries
them as `lakehouse/tables` and `lakehouse/jobs`, so the import names `tables`
and `jobs` stay free for whoever owns them (PyTables is `import tables`).
"""

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent
_IS_WHEEL: Final = (_PACKAGE / "tables").is_dir()
_ROOT: Final = _PACKAGE if _IS_WHEEL else _PACKAGE.parent

TABLES: Final = _ROOT / "tables"
"""One TOML contract per table."""

JOBS: Final = _ROOT / "jobs"
"""One Python module per job."""
