"""One Spark session for the run; Spark is imported only once a test asks for it."""

import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.interop.spark.table_versions import Place, ReadAll

JARS = Path(__file__).parents[3] / ".spark" / "jars"
"""Where `make test-spark` puts them."""


# py4j leaves it to the garbage collector to close its sockets.
SOCKETS = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.spark)
            item.add_marker(SOCKETS)


# Spark is Any: its types are there only where `make test-spark` ran, and the
# check should say the same with it and without it.
@pytest.fixture(scope="session")
def spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql")
    jars = sorted(map(str, JARS.glob("*.jar")))
    assert jars, f"There are no jars in {JARS}: `make test-spark` fetches them."
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.jars": ",".join(jars),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": (
            "org.apache.spark.sql.delta.catalog.DeltaCatalog"
        ),
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        "spark.sql.session.timeZone": "UTC",
        # Without these a test of a few rows takes four times as long.
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.driver.memory": "2g",
        "spark.driver.extraJavaOptions": (
            "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Duser.timezone=UTC "
            # One tier alone reserves 48 MB, and Java stops compiling when it is full.
            "-XX:ReservedCodeCacheSize=256m"
        ),
        # So that VACUUM is refused for what the table is, not for its haste.
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    }
    builder = sql.SparkSession.builder.master("local[2]").appName("lakehouse")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture
def spark(spark_session: Any) -> Any:
    """A session of its own in the one Spark: nothing cached, no views."""
    return spark_session.newSession()


@pytest.fixture
def by_spark(spark: Any) -> ReadAll:
    """Several at once: most of a small read is Spark waiting for itself."""

    def read(place: Place) -> pl.DataFrame:
        uri, version = place
        rows = spark.read.format("delta").option("versionAsOf", version).load(uri)
        table = rows.toArrow()
        # Spark leaves out the offsets of empty lists of lists, and Polars reads
        # none such; taking every row makes them anew.
        return pl.DataFrame(
            table.take(pl.int_range(table.num_rows, eager=True).to_arrow())
        )

    def read_all(places: Iterable[Place]) -> dict[Place, pl.DataFrame]:
        each = list(dict.fromkeys(places))
        with ThreadPoolExecutor(4) as pool:
            return dict(zip(each, pool.map(read, each), strict=True))

    return read_all
