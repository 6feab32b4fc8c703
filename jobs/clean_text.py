"""Clean every text of the day's videos and say which ones carry meaning.

Reads   bronze.video_arrivals (the day), silver.ocr (the day)
Writes  silver.video_text, one day, replaced whole
Rerun   safe: the same inputs give the same rows
Launch  reelhouse job clean_text --date 2026-01-02
"""

from pyspark.sql import DataFrame

from reelhouse import tables
from reelhouse.run import Run
from reelhouse.sections import TextSettings
from reelhouse.text.frames import lines_in_order, one_row_a_video, with_clean_text


def build(arrivals: DataFrame, ocr: DataFrame, settings: TextSettings) -> DataFrame:
    return (
        one_row_a_video(arrivals)
        .join(lines_in_order(ocr), on="video_id", how="left")
        .transform(with_clean_text(settings.noise_tags))
        .select(*tables.VIDEO_TEXT.undated)
    )


def main(run: Run) -> None:
    rows = build(run.day(tables.VIDEO_ARRIVALS), run.day(tables.OCR), run.settings.text)
    run.publish(tables.VIDEO_TEXT, rows)
