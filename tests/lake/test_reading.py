"""What people ask never changes a table."""

import pytest
from deltalake import DeltaTable
from pyspark.errors import ParseException

from reelhouse import tables
from reelhouse.cli.asking import answer
from reelhouse.errors import ReadOnlyError, ReelhouseError
from reelhouse.lake import catalog
from reelhouse.lake.reading import check_reads
from tests.jobs.small_lake import DAY, SmallLake

NAME = "bronze.deletions"
WRITES = [
    f"delete from {NAME}",
    f"DELETE FROM {NAME} where video_id = 'a'",
    f"insert into {NAME} select * from {NAME}",
    f"with x as (select * from {NAME}) insert into {NAME} select * from x",
    f"with x as (select * from {NAME}) insert into identifier('{NAME}') select * from x",
    f"from {NAME} insert into {NAME} select *",
    f"insert overwrite {NAME} select * from {NAME} where false",
    "with x as (select 1 a) insert overwrite directory '/tmp/none' using parquet select * from x",
    "from (select 1 a) insert overwrite local directory '/tmp/none' using parquet select *",
    f"update {NAME} set reason = 'x'",
    f"merge into {NAME} t using {NAME} s on t.video_id = s.video_id when matched then delete",
    f"drop table {NAME}",
    f"create table other as select * from {NAME}",
    f"create or replace table {NAME} (a int) using delta",
    f"create or replace view {NAME}_x as select 1",
    f"alter table {NAME} add columns (x int)",
    f"truncate table {NAME}",
    f"optimize {NAME}",
    f"vacuum {NAME} retain 0 hours",
    f"restore table {NAME} to version as of 0",
    f"create table other shallow clone {NAME}",
    f"reorg table {NAME} apply (purge)",
    f"/* a question */ (\n delete from {NAME})",
    f"-- select\ndelete from {NAME}",
    f"execute immediate 'delete from {NAME}'",
    "set spark.sql.ansi.enabled = false",
    f"select 1; delete from {NAME}",
]
RUNS = [
    "select transform(1) using 'touch {made}' as (a string)",
    "with x as (select transform(1) using 'touch {made}' as (a string)) select * from x",
    "select (with x as (select transform(1) using 'touch {made}' as (a string)) select a from x)",
    "select 1 where exists (from (select 1 a) select transform(a) using 'touch {made}' as (b string))",
    "explain select transform(1) using 'touch {made}' as (a string)",
    "select reflect('java.lang.System', 'setProperty', 'reelhouse.asked', 'x')",
    "select 1 where (select Java_Method('java.lang.System', 'setProperty', 'reelhouse.asked', 'x')) is null",
    "with x as (select try_reflect('java.lang.System', 'setProperty', 'reelhouse.asked', 'x') a) select * from x",
    "select identifier('ref' || 'lect')('java.lang.System', 'setProperty', 'reelhouse.asked', 'x')",
]
READS = [
    f"select count(*) n from {NAME}",
    f"with x as (select * from {NAME}) select count(*) from x;",
    f"(select video_id from {NAME}) union all (select 'b')",
    "values (1), (2)",
    "-- how many?\n/* all */ select 1",
    f"table {NAME}",
    f"from {NAME} select video_id",
    "show tables in bronze",
    f"describe table {NAME}",
    f"describe history {NAME}",
    f"explain select * from {NAME}",
    "select transform(array(1, 2), x -> x + 1)",
    f"with x as (select (select max(video_id) from {NAME}) a) select * from x where exists (select * from {NAME})",
]  # fmt: skip


@pytest.fixture(scope="module")
def small(spark, tmp_path_factory):
    made = SmallLake(spark, tmp_path_factory.mktemp("asked"))
    made.write(tables.DELETIONS, [{"video_id": "a", "reason": "r", "requested_by": "p"}], DAY)
    catalog.register(made.lake)
    return made


@pytest.mark.parametrize("statement", WRITES)
def test_what_would_change_something_is_refused_and_changes_nothing(small, statement):
    with pytest.raises(ReelhouseError) as refused:
        answer(small.lake, statement, 5)
    if statement.startswith(("delete", "with", "--", "optimize", "execute")):
        assert isinstance(refused.value, ReadOnlyError)
        assert "`reelhouse sql` only reads" in str(refused.value)
        assert "`reelhouse delete VIDEO_ID` removes a video" in str(refused.value)
    table = DeltaTable(small.lake.path(tables.DELETIONS))
    assert (table.version(), table.to_pandas()["video_id"].tolist()) == (0, ["a"])


@pytest.mark.parametrize("statement", RUNS)
def test_a_question_runs_no_program_and_no_java(spark, small, tmp_path, statement):
    with pytest.raises(ReadOnlyError, match="no transform, reflect"):
        answer(small.lake, statement.format(made=tmp_path / "made"), 5)
    assert not (tmp_path / "made").exists()
    assert spark._jvm.java.lang.System.getProperty("reelhouse.asked") is None


@pytest.mark.parametrize("statement", READS)
def test_questions_of_every_kind_are_taken(spark, small, statement):
    check_reads(spark, statement)
    assert spark.sql(statement).collect()


def test_only_one_statement_is_taken(spark):
    with pytest.raises(ParseException):
        check_reads(spark, "select 1; select 2")
