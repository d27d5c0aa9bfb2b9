"""A table at a version, by engines that know nothing of lakehouse."""

from collections.abc import Callable
from functools import cache

import duckdb
import polars as pl
from deltalake import DeltaTable, QueryBuilder
from duckdb_extensions import import_extension

__all__ = ["Reader", "by_deltalake", "by_duckdb"]

Reader = Callable[[str, int], pl.DataFrame]


def by_deltalake(uri: str, version: int) -> pl.DataFrame:
    table = DeltaTable(uri, version=version)
    result = QueryBuilder().register("t", table).execute("select * from t")
    return pl.DataFrame(result)


def by_duckdb(uri: str, version: int) -> pl.DataFrame:
    query = f"select * from delta_scan('{uri}', version={version})"
    return pl.DataFrame(_connection().execute(query).to_arrow_table())


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("set timezone = 'UTC'")
    import_extension("delta", con=connection)
    connection.execute("load delta")
    return connection
