"""The jobs of this lakehouse: the modules of the top-level `jobs/` folder."""

from lakehouse._project import JOBS

__all__: list[str] = []

__path__ = [str(JOBS)]
