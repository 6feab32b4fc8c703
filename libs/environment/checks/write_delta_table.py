"""Run with the .venv's Python: Spark writes and reads a Delta table with the local JARs that are named, and no network."""

import sys
import tempfile

from pyspark.sql import SparkSession

spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.jars", sys.argv[1])
    .config("spark.ui.enabled", "false")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .config("spark.sql.shuffle.partitions", "1")
    .config("spark.databricks.delta.snapshotPartitions", "1")
    .getOrCreate()
)
with tempfile.TemporaryDirectory() as folder:
    spark.range(3).coalesce(1).write.format("delta").save(f"{folder}/table")
    rows = spark.read.format("delta").load(f"{folder}/table").count()
spark.stop()
if rows != 3:
    sys.exit(f"3 rows were written to a Delta table and {rows} were read")
