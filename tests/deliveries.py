"""Small text-only deliveries, so that whole days can be run in tests without decoding videos."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

WORDS = {
    "food.coffee": ["手冲咖啡教程", "拉花入门", "咖啡豆烘焙", "美式咖啡"],
    "sports.yoga": ["瑜伽晨练", "瑜伽入门体式", "拉伸放松", "冥想呼吸"],
    "tech.phones": ["手机开箱", "旗舰手机评测", "续航对比", "拍照手机推荐"],
}


def text_rows(day: dt.date, count: int) -> list[dict]:
    """Manifest rows of a day: three classes in turn, each with words of its own; every fourth has no category."""
    rows = []
    for n in range(count):
        label, words = list(WORDS.items())[n % len(WORDS)]
        title = f"{words[n % 4]} {words[(n // 3) % 4]} 第{n}期"
        row = {"video_id": f"{day:%m%d}-{n:03d}", "title": title, "caption": f"{words[(n + 1) % 4]} #{words[0]}", "hashtags": [words[0]]}
        if n % 4:
            row["category"] = label
        rows.append(row)
    return rows


def deliver(folder: Path, day: dt.date, rows: list[dict], labels: list[dict] = (), name: str = "manifest.jsonl") -> None:
    """Write a day's delivery: a manifest, and label lines if any."""
    place = folder / str(day)
    place.mkdir(parents=True, exist_ok=True)
    _lines(place / name, rows)
    if labels:
        (place / "labels").mkdir(exist_ok=True)
        _lines(place / "labels" / "people.jsonl", labels)


def _lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
