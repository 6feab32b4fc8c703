from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.sources.staying import note_on, staying_refusals


def test_refused_rows_are_told_apart_by_the_batch_that_their_key_names(spark):
    keys = {
        "manifest.csv:3": "a row", "east/m:1.csv:12": "a colon in the name", "videos:x:y.mp4": "a file of a bare folder",
        "v|1|gone.csv|2026-01-01": "refused by the audit", "v2|gone.csv|2026-01-01#2": "the second of its key",
    }  # fmt: skip
    rows = [("bronze.items", "rule", key, text, None, None) for key, text in keys.items()]
    rows += [("bronze.interactions", "rule", "other.csv:1", "of another table", None, None)]
    told = spark.createDataFrame(rows, "table string, rule string, row_key string, reason string, row string, video_id string")

    def stay(*batches):
        return {r["row_key"] for r in staying_refusals(told, tables.ITEMS, batches).collect()}

    assert stay() == keys.keys()
    assert stay("gone.csv", "manifest.csv") == {"east/m:1.csv:12", "videos:x:y.mp4"}
    assert stay("east/m:1.csv", "videos") == {"manifest.csv:3", "v|1|gone.csv|2026-01-01", "v2|gone.csv|2026-01-01#2"}


def test_a_note_names_three_files_and_counts_all(spark):
    rows = spark.createDataFrame([(name,) for name in "dbcaad"], "batch string")
    told = "rows of {} files stay that are gone: {} (deliver an empty file of the name to withdraw them)"
    assert note_on(rows, tables.ITEMS) == f"bronze.items: {told.format(4, 'a, b, c, ...')}"
    assert note_on(rows.where(F.col("batch") < "b"), tables.ITEMS) == f"bronze.items: {told.format(1, 'a')}"
    assert note_on(rows.where("false"), tables.ITEMS) is None
