"""Run with the .venv's Python: has Spark's Ivy fetch Delta's JARs into the folder that is named."""

import sys

from delta import configure_spark_with_delta_pip
from pyspark.sql import SparkSession

builder = SparkSession.builder.master("local[1]").config("spark.jars.ivy", sys.argv[1]).config("spark.ui.enabled", "false")
configure_spark_with_delta_pip(builder).getOrCreate().stop()
