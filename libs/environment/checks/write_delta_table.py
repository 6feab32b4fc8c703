"""Run with the .venv's Python: reelhouse's session writes and reads Delta tables with the local JARs alone, and no network.

It does one of most things that a day does, so that the classes which Java archives at the end are those that a day needs.
"""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from reelhouse import settings
from reelhouse.lake import start_session

spark = start_session(settings.load().spark)


def same(batches: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
    yield from batches


def write(rows: DataFrame, table: str) -> None:
    chosen = rows.write.format("delta").mode("overwrite").partitionBy("day").option("replaceWhere", "day = date'2026-01-01'")
    chosen.save(table)


with tempfile.TemporaryDirectory() as folder:
    given = Path(folder) / "rows.json"
    given.write_text('{"id": "a", "words": ["x", "y"]}\n{"id": "b", "words": []}\n{"id": "c"}\n', encoding="utf-8")
    rows = spark.read.json(str(given)).withColumn("day", F.lit("2026-01-01").cast("date")).persist()
    write(rows, f"{folder}/table")
    write(rows.mapInPandas(same, rows.schema), f"{folder}/table")
    stored = spark.read.format("delta").load(f"{folder}/table").where("day <= date'2026-01-01'")
    newest = stored.withColumn("place", F.row_number().over(Window.partitionBy("id").orderBy(F.desc("day")))).where("place = 1")
    newest.join(stored.groupBy("id").agg(F.count("*").alias("n")), "id", "left").toPandas()
    stored.createOrReplaceTempView("stored")
    (row,) = spark.sql("select count(*) n, max(xxhash64(id)), max(size(words)) from stored").collect()
    stored.write.parquet(f"{folder}/files")
    spark.createDataFrame([("d", 1.0)], "id string, score double").unionByName(stored.select("id"), allowMissingColumns=True).collect()
java = spark.sparkContext._gateway.proc  # type: ignore[union-attr]
spark.stop()
# Java writes its archive when it ends, which is after this process otherwise: what lies there until then is the small one of the
# program that started it
java.stdin.close()
java.wait()
if row.n != 3:
    sys.exit(f"3 rows were written to a Delta table and {row.n} were read")
