"""What a client might try in order to change the lake or to learn what is no table's, and the hash by which it shows that nothing did."""

from __future__ import annotations

import hashlib
from pathlib import Path


def bytes_of(root: Path) -> dict[str, str]:
    """SHA-256 of every file below the root."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


SETTINGS = [
    "set spark.sql.runSQLOnFiles=true",
    "set spark.databricks.delta.retentionDurationCheck.enabled=false",
    "set spark.sql.sources.partitionOverwriteMode=dynamic",
    "set spark.sql.scripting.enabled=true",
    "set spark.sql.variable.substitute=true",
    "set spark.sql.catalog.other=org.apache.spark.sql.execution.datasources.v2.jdbc.JDBCTableCatalog",
    "set spark.sql.catalog.other.url=jdbc:derby:memory:other",
]


def writes(root: Path) -> list[str]:
    """Statements each of which changes what is below the root where nothing holds it back."""
    path = f"{root}/tables/silver/video_text"
    return [
        "insert into silver.video_text select * from silver.video_text",
        "delete from silver.video_text",
        "update silver.video_text set language = 'x'",
        "merge into silver.video_text t using silver.video_text s on t.video_id = s.video_id when matched then delete",
        "insert overwrite silver.video_text select * from silver.video_text",
        f"delete from delta.`{path}`",
        f"insert into delta.`{path}` select * from silver.video_text",
        "alter table silver.video_text add columns (x int)",
        "alter table silver.video_text set tblproperties ('delta.appendOnly' = 'true')",
        "restore table silver.video_text to version as of 0",
        f"insert overwrite local directory '{root}/tables/silver' using csv select 1",
        f"insert overwrite directory '{path}' using parquet select 1",
        f"create table default.yours using csv location '{root}/tables/yours' as select 1 as one",
        f"select transform(video_id) using 'rm -r {path}' from silver.video_text",
        f"with x as (select transform(video_id) using 'sh -c \"echo > {path}/_delta_log/00000000000000000000.json\"' "
        "from silver.video_text) select * from x",
    ]


def refused(root: Path) -> list[str]:
    """Statements that reach past the tables without a write that the system would refuse, or are no question."""
    path = f"{root}/tables/silver/video_text"
    return [
        "optimize silver.video_text",
        "vacuum silver.video_text retain 0 hours",
        f"vacuum delta.`{path}` retain 0 hours",
        "truncate table silver.video_text",
        f"create table default.mine using delta location '{path}'",
        "drop table silver.videos",
        "create or replace view gold.label_queue as select 1 as one",
        "create temporary view v as select 1",
        "drop database bronze cascade",
        "add jar '/tmp/some.jar'",
        "create temporary function f as 'some.Class'",
        "cache table silver.video_text",
        "reset",
        "explain delete from silver.video_text",
        "execute immediate 'delete from silver.video_text'",
        "begin delete from silver.video_text; end",
        "from silver.video_text insert overwrite silver.video_text select *",
        f"select * from delta.`{path}`",
        "select * from text.`/etc/passwd`",
        "select (select count(*) from text.`/etc/passwd`)",
        "select 1 where exists (with x as (select * from csv.`/etc/passwd`) select * from x)",
        "select count(*) from identifier('text.`/etc/passwd`')",
        "select java_method('java.lang.System', 'exit', 1)",
        "select identifier('ref' || 'lect')('java.lang.System', 'exit', 1)",
        "select 1 order by try_reflect('java.lang.System', 'exit', 1)",
        "select '${env:HOME}'",
        "select '${system:java.home}', '${spark.app.name}'",
        "set spark.sql.session.timeZone=${env:HOME}",
        "set spark.hadoop.fs.s3a.secret.key",
        "explain set spark.app.name",
        "set spark.sql.session.timeZone.not",
        "use other",
        "use namespace other",
        "explain use spark_catalog.other",
        "set catalog other",
        "show namespaces in other",
        "show tables in other.app",
        "show views in other",
        "describe namespace other.app",
        "describe other.app.people",
        "show columns in other.app.people",
        "select other.app.f(1)",
        "select * from other.app.people",
        f"describe history '{path}'",
        f"describe detail delta.`{path}`",
        f"select * from table_changes_by_path('{path}', 0)",
        f"select * from table_changes('delta.`{path}`', 0)",
    ]


QUESTIONS = [
    "select count(*) from silver.video_text",
    "with x as (select * from silver.video_text) select count(*) from x",
    "select count(*) from spark_catalog.silver.video_text_current",
    "select count(*) from silver.video_text version as of 0",
    "select transform(array(1, 2), x -> x + 1)",
    "values 1",
    "use silver",
    "use spark_catalog.silver",
    "show databases",
    "describe database gold",
    "set",
    "set -v",
    "set spark.sql.session.timeZone",
    "set spark.sql.shuffle.partitions=3",
    "select * from range(2)",
    "show tables",
    "describe history silver.video_text",
    "explain select 1",
    "select count(*) from gold.label_queue",
]
