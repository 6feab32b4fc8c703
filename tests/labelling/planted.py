"""Questions as plain values, and an inbox, for the tests of the export and of the page."""

import datetime as dt
import io

from PIL import Image

from reelhouse.labelling.queue import Frame, QueuedVideo, Suggestion
from reelhouse.labels import Taxonomy
from reelhouse.labels.migrations import with_migrations
from tests.jobs.small_lake import DAY, TREE

AT = dt.datetime(2026, 1, 3, 8, 30, tzinfo=dt.UTC)
TREES = {"category": Taxonomy.from_dict(TREE)}
MOVED = with_migrations(
    TREES["category"],
    {
        "labels": [
            {"id": "food.pasta", "parent": "food", "name": "面食"}, {"id": "hamsters", "name": "仓鼠", "after": "pets"},
            {"id": "drones", "name": "无人机", "after": "sport"},
        ],
        "steps": [
            {"date": DAY, "rename": "food.pasta", "to": "food.noodles"}, {"date": DAY, "merge": ["hamsters", "pets"], "into": "pets"},
            {"date": DAY, "retire": "drones"},
        ],
    },
)  # fmt: skip
BAKING = Suggestion("food.baking", "美食/烘焙", 0.75)
PETS = Suggestion("pets", "宠物", 0.125)


def jpeg(colour, size=(224, 224)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG", quality=95)
    return file.getvalue()


RED, BLUE = (220, 30, 30), (30, 30, 220)


def question(video_id, rank=1, **values):
    given = {"title": f"title of {video_id}", "frames": (Frame(0.0, jpeg(RED)), Frame(67.46, jpeg(BLUE))), "suggestions": (BAKING, PETS)}
    return QueuedVideo(video_id, "category", rank, "typical", "density", DAY, False, **given | values)


def text_alone(video_id, rank=1, **values):
    return question(video_id, rank, **{"frames": (), "suggestions": (), "texts": (("caption", "words alone"),)} | values)
