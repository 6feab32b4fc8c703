"""What is known of the people who answer: how reliable each is, what each confuses, how far they agree."""

from reelhouse.tables.schema import Table, column, data_date, label, task

ANNOTATORS = Table(
    "gold.annotators",
    "How reliable a person's answers are, from all videos up to the day that several people answered. Each day holds everybody.",
    columns=[
        column("annotator_id", "string", "who", nullable=False),
        task(),
        column("settled_videos", "int", "videos that others answered too, where all together and the person chose a label", nullable=False),
        column("agreed_videos", "int", "of these, those where the two don't contradict: the same label, or one above it", nullable=False),
        column("agreement", "double", "agreed_videos / settled_videos, 0..1"),
        column("sensitivity", "double", "mean over labels, of a label's videos the share that the person agrees with, 0..1"),
        column(
            "reliability",
            "double",
            "probability of being right, 0..1, by Dawid and Skene's model; what answers are weighted by where labels.aggregation says so",
            sameness="inexact",
        ),
        column("learned_from", "int", "videos that reliability was learned from", nullable=False),
        column("confused_label_id", "string", "of the pair confused most often, what all together say"),
        column("confused_given_label_id", "string", "and what the person says"),
        column("confused_videos", "int", "how often", nullable=False),
        data_date("day up to which answers count (UTC)"),
    ],
    key=["annotator_id", "task", "data_date"],
    newest_by=[],
)

ANNOTATOR_CONFUSION = Table(
    "gold.annotator_confusion",
    "What a person says against what all say together, counted over all videos up to the day that several people answered.",
    columns=[
        column("annotator_id", "string", "who", nullable=False),
        task(),
        label("what all say together: the deepest label with a yes"),
        column("given_label_id", "string", "what the person says", nullable=False),
        column("is_consistent", "boolean", "whether the two are the same, or one is above the other", nullable=False),
        column("videos", "int", "how often", nullable=False),
        data_date("day up to which answers count (UTC)"),
    ],
    key=["annotator_id", "task", "label_id", "given_label_id", "data_date"],
    newest_by=[],
)

LABEL_AGREEMENT = Table(
    "gold.label_agreement",
    "How far people agree: Krippendorff's alpha over all videos up to the day that several people answered.",
    columns=[
        task(),
        column("domain", "string", "a root of the tree, labels outside of it counted as one; * for the whole tree", nullable=False),
        column("path", "string", "name of the root"),
        column("alpha", "double", "1 agreement, 0 as by chance; null where nothing different was said", sameness="inexact"),
        column("answers", "int", "labels chosen in the domain that can be paired with another person's", nullable=False),
        data_date("day up to which answers count (UTC)"),
    ],
    key=["task", "domain", "data_date"],
    newest_by=[],
)

TABLES = [ANNOTATORS, ANNOTATOR_CONFUSION, LABEL_AGREEMENT]
