"""A small label tree that the tests of annotators share."""

from reelhouse.labels import Taxonomy

TREE = Taxonomy.from_dict(
    {
        "task": "category",
        "labels": [
            {"id": "food", "name": "f"},
            {"id": "tea", "parent": "food", "name": "t"},
            {"id": "cake", "parent": "food", "name": "c"},
            {"id": "pets", "name": "p"},
            {"id": "sport", "name": "s"},
        ],
    }
)
