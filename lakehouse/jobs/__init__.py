"""The jobs of this lakehouse: the modules of the top-level `jobs/` folder."""

from lakehouse._paths import JOBS

__path__ = [str(JOBS)]
