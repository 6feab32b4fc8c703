"""A lake with two modalities of small planted vectors, labels and copies, for the tests of the jobs that train and predict."""

import datetime as dt

import numpy as np
import torch

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.features import Layout, Part
from reelhouse.labels import Taxonomy
from reelhouse.lake import Lake, Ledger
from reelhouse.models import ModelConfig
from reelhouse.models.network import MultimodalNetwork, dump
from reelhouse.run import Run, Services
from tests.planting import write_rows

DAY = dt.date(2026, 1, 2)
NEXT = dt.date(2026, 1, 3)
TREE = {
    "task": "category",
    "labels": [
        {"id": "food", "name": "美食"},
        {"id": "food.baking", "parent": "food", "name": "烘焙"},
        {"id": "food.noodles", "parent": "food", "name": "面条"},
        {"id": "pets", "name": "宠物"},
        {"id": "sport", "name": "运动"},
    ],
}
SOURCE = "0" * 64
LEAVES = ("food.baking", "food.noodles", "pets", "sport")
LAYOUT = Layout((Part("visual", "v1", 6), Part("text", "t1", 5)))  # of what `plant` plants
SMALL = {
    "training.ranks": 2,
    "training.launcher": "torch",
    "training.epochs": 12,
    "training.batch_size": 16,
    "training.learning_rate": 0.01,
    "training.embedding_dimension": 16,
    "training.visual_steps": 2,
    "training.audio_steps": 2,
    "spark.master": "local[2]",
}


class SmallLake:
    """Runs jobs for real: Delta, audit, registry. Only the pipeline around them is left out."""

    def __init__(self, spark, root, **values):
        dotted = SMALL | {name.replace("__", "."): value for name, value in values.items()}
        self.settings = settings_module.load(values=dotted | {"storage.root": str(root)})
        self.lake = Lake(spark, str(root))
        self.ledger = Ledger(self.lake)
        self.services = Services(self.settings, str(root))
        self.services._taxonomies["category"] = Taxonomy.from_dict(TREE)
        self.said = []

    def run(self, job="a_test", date=DAY):
        return Run(job, date, self.settings, self.lake, self.ledger, self.services, self.said.append)

    def write(self, table, records, date=DAY, **where):
        """records: dicts; what is left out is None or an empty list, data_date is the day. Not audited: that is tested elsewhere."""
        write_rows(self.lake, table, records, {"data_date": date, **where})

    def do(self, module, date=DAY):
        run = self.run(module.__name__.split(".")[-1], date)
        try:
            module.main(run)
            run.finish("succeeded")
        finally:
            run.close()
        return run.record

    def rows(self, table, date=DAY):
        return self.lake.read(table, f"data_date = date'{date}'").collect()

    def plant(self, videos, seed=0, date=DAY, first=0, labelled=True, text_encoder="t1"):
        """Videos v000, v001, ...: the class is the number modulo 4, to be seen in picture and text; every fifth has no text."""
        draw = np.random.default_rng(seed)
        features, texts, labels, probes = [], [], [], []
        for i in range(first, first + videos):
            name, kind = f"v{i:03d}", i % 4
            picture = draw.standard_normal((2, 6)) * 0.3
            picture[:, kind] += 1.0
            features.append(_features(name, "visual", "v1", picture))
            if i % 5:
                text = draw.standard_normal((1, 5)) * 0.3
                text[:, kind] += 1.0
                texts.append(_features(name, "text", text_encoder, text))
            labels.append(_label(name, LEAVES[kind]))
            probes.append({"video_id": name, "status": "text_only", "has_audio": False})
        self.write(tables.FEATURES, features, date)
        self.write(tables.TEXT_FEATURES, texts, date)
        self.write(tables.VIDEOS, probes, date)
        self.arrive([r["video_id"] for r in probes], date)
        self.write(tables.COPIES, [{"video_id": r["video_id"], "copy_group": r["video_id"]} for r in labels], date)
        if labelled:
            self.write(tables.LABELS, labels, date)
        return self

    def arrive(self, videos, date=DAY):
        """Texts of videos that came on the day: what text vectors, predictions and embeddings follow."""
        facts = {"text": "words", "language": "en", "is_meaningful": True}
        self.write(tables.VIDEO_TEXT, [{"video_id": v, **facts} for v in videos], date)


def random_model(seed):
    """Bytes of a model with weights by chance, for what `plant` plants."""
    torch.manual_seed(seed)
    return dump(MultimodalNetwork(ModelConfig("category", LEAVES, LAYOUT.with_steps(visual_steps=2, audio_steps=2), 16)))


def _features(video_id, modality, encoder_id, vectors):
    steps, dimension = vectors.shape
    values = [float(np.float32(v)) for v in vectors.reshape(-1)]
    what = {"video_id": video_id, "modality": modality, "encoder_id": encoder_id, "source_sha256": SOURCE}
    return what | {"steps": steps, "dimension": dimension, "values": values}


def _label(video_id, label_id, answer=1):
    facts = {"agreement": 1.0, "annotators": 1, "source": "people", "taxonomy_version": "t"}
    return {"video_id": video_id, "task": "category", "label_id": label_id, "answer": answer, **facts}
