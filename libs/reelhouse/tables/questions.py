"""Answers to the questions that people ask of the lakehouse most: views over the tables, each with the columns that it gives.

A view's `columns` are its contract: their names and order are checked by the tests, their comments shown to whoever asks.
"""

from reelhouse.tables.schema import View

WHY_PREDICTED = View(
    "gold.why_predicted",
    "What the served model says of a video, and what it had to say it by. One row a video and task.",
    """WITH heard AS (
         SELECT video_id, encoder_id, modality FROM silver.features_current WHERE steps > 0
         UNION ALL SELECT video_id, encoder_id, modality FROM silver.text_features_current),
       used AS (
         SELECT DISTINCT m.model_version, s.snapshot_id, part.encoder_id
         FROM (SELECT DISTINCT model_version, snapshot_id FROM ops.promotions) m JOIN gold.training_snapshots s USING (snapshot_id)
         LATERAL VIEW explode(from_json(s.layout, 'array<struct<modality:string,encoder_id:string>>')) x AS part),
       had AS (
         SELECT u.model_version, u.snapshot_id, h.video_id, sort_array(collect_set(h.modality)) AS modalities
         FROM heard h JOIN used u USING (encoder_id) GROUP BY ALL),
       tagged AS (SELECT video_id, sort_array(collect_set(tag)) AS tags FROM gold.tags_of_videos GROUP BY video_id),
       labelled AS (
         SELECT video_id, task,
                sort_array(collect_list(struct(label_id, answer, agreement, verdict, suggested_label_id))) AS labels
         FROM gold.labels_current GROUP BY video_id, task)
       SELECT p.video_id, coalesce(a.title, a.caption) AS title, p.task, get(p.top, 0).path AS path,
              get(p.top, 0).probability AS probability, get(p.top, 1).path AS runner_up,
              get(p.top, 0).probability - get(p.top, 1).probability AS margin, p.entropy, p.top,
              coalesce(h.modalities, array()) AS modalities, coalesce(t.tags, array()) AS tags,
              coalesce(l.labels, array()) AS labels, p.model_version, h.snapshot_id, p.data_date AS predicted_on
       FROM gold.predictions_served p
       LEFT JOIN bronze.video_arrivals_current a ON a.video_id = p.video_id
       LEFT JOIN had h ON h.video_id = p.video_id AND h.model_version = p.model_version
       LEFT JOIN tagged t ON t.video_id = p.video_id
       LEFT JOIN labelled l ON l.video_id = p.video_id AND l.task = p.task""",
    columns={
        "video_id": "which video",
        "title": "its title, else its caption, as delivered",
        "task": "which label tree",
        "path": "best label, names from the root down",
        "probability": "of the best label, 0..1",
        "runner_up": "second best label",
        "margin": "how far the second best is behind, 0..1",
        "entropy": "of all classes' probabilities, in nats: larger is less sure",
        "top": "five best labels, best first",
        "modalities": "what the model had of the video, of visual, audio and text",
        "tags": "active tags on its text",
        "labels": "what people say of it, with O2U's verdict and suggestion",
        "model_version": "the served model",
        "snapshot_id": "what that model was trained on",
        "predicted_on": "the day of the prediction (UTC)",
    },
)

NEAREST_LABELLED = View(
    "gold.nearest_labelled",
    "The labelled video whose vector by the served model is nearest. Compares with every labelled video: ask for one video_id or few.",
    """WITH served AS (
         SELECT e.video_id, e.model_version, e.vector FROM gold.embeddings_current e
         JOIN ops.serving_now s ON e.model_version = s.model_version),
       compared AS (
         SELECT s.video_id, s.model_version, l.task, l.label_id, o.video_id AS other,
                aggregate(zip_with(s.vector, o.vector, (x, y) -> cast(x AS double) * y), 0D, (total, part) -> total + part) AS similarity
         FROM served s CROSS JOIN served o JOIN silver.labels_current l ON l.video_id = o.video_id
         WHERE l.answer = 1 AND s.video_id <> o.video_id)
       SELECT video_id, task, max_by(other, struct(similarity, other, label_id)) AS nearest_video_id,
              max_by(label_id, struct(similarity, other, label_id)) AS label_id, max(similarity) AS similarity, model_version
       FROM compared GROUP BY video_id, task, model_version""",
    columns={
        "video_id": "which video",
        "task": "which label tree",
        "nearest_video_id": "the labelled video that is nearest",
        "label_id": "its label; of several the last by id",
        "similarity": "cosine of the two vectors, -1..1",
        "model_version": "the served model",
    },
)

CLUSTERS_NAMED = View(
    "gold.clusters_named",
    "The density cluster of each video as of now, what it is called and what became of it. One row a video.",
    """SELECT c.video_id, c.cluster_id, d.name, d.size, c.density, e.video_id AS exemplar_video_id, d.words, d.change, d.previous_size,
              d.came_from, d.first_seen, c.placed_on, c.data_date
       FROM gold.clusters_current c
       LEFT JOIN gold.cluster_days d ON d.cluster_id = c.cluster_id AND d.data_date = c.data_date
       LEFT JOIN gold.clusters_current e ON e.video_id = d.exemplar_video_id""",
    columns={
        "video_id": "which video",
        "cluster_id": "its cluster, the same from day to day; null where it is like few others",
        "name": "what the cluster is called: the first words that its videos share",
        "size": "videos of the cluster",
        "density": "density around the video, larger is denser",
        "exemplar_video_id": "the densest video of the cluster; null if it was taken down since",
        "words": "the words that tell the cluster from others, best first",
        "change": "of the cluster since the day before: kept, grown, shrunk, born, split or merged",
        "previous_size": "videos of the cluster on the day before; 0 for a new one",
        "came_from": "clusters that it split from or took up",
        "first_seen": "day that the cluster was born (UTC)",
        "placed_on": "day that put the video into its place (UTC)",
        "data_date": "the day of all this (UTC)",
    },
)

COVERAGE_BY_CATEGORY = View(
    "gold.coverage_by_category",
    "How many videos each label of the tree has, those of the labels below it included: given by people, and said by the served model.",
    """WITH given AS (
         SELECT task, label_id, video_id, max(verdict <=> 'wrong') AS is_suspect FROM (
           SELECT l.task, l.video_id, l.verdict, explode(concat(array(t.label_id), t.ancestors)) AS label_id
           FROM gold.labels_current l JOIN silver.taxonomy_current t ON t.task = l.task AND t.label_id = l.label_id WHERE l.answer = 1)
         GROUP BY task, label_id, video_id),
       became AS (SELECT task, explode(concat(array(label_id), former_ids)) AS was_id, label_id, ancestors FROM silver.taxonomy_current),
       said AS (
         SELECT p.task, p.video_id, explode(concat(array(b.label_id), b.ancestors)) AS label_id
         FROM gold.predictions_served p JOIN became b ON b.task = p.task AND b.was_id = get(p.top, 0).label_id),
       counted AS (
         SELECT task, label_id, count(*) AS videos, count(g.video_id) AS labelled_videos, count(s.video_id) AS predicted_videos,
                count_if(g.is_suspect) AS suspect_videos
         FROM given g FULL JOIN said s USING (task, label_id, video_id) GROUP BY task, label_id)
       SELECT t.task, t.label_id, t.path, t.depth, t.is_leaf, coalesce(c.videos, 0) AS videos,
              coalesce(c.labelled_videos, 0) AS labelled_videos, coalesce(c.predicted_videos, 0) AS predicted_videos,
              coalesce(c.suspect_videos, 0) AS suspect_videos, try_divide(c.labelled_videos, c.videos) AS labelled_share,
              CASE WHEN t.is_leaf THEN rank() OVER (PARTITION BY t.task, t.is_leaf ORDER BY coalesce(c.labelled_videos, 0)) END AS rarity
       FROM silver.taxonomy_current t LEFT JOIN counted c ON c.task = t.task AND c.label_id = t.label_id""",
    columns={
        "task": "which label tree",
        "label_id": "which label of it, at any level",
        "path": "names from the root down",
        "depth": "0 = a root",
        "is_leaf": "whether no label is below it",
        "videos": "videos that people or the model put here or below",
        "labelled_videos": "of these, those with such a label by people",
        "predicted_videos": "of these, those whose best label by the model is here or below",
        "suspect_videos": "of the labelled ones, those with a label that O2U holds wrong",
        "labelled_share": "labelled_videos / videos, 0..1; null without videos",
        "rarity": "of a leaf: 1 = fewest labelled videos; equal for equal numbers",
    },
)

_NEWEST_FIRST = """
  ORDER BY coalesce(e.answered_at, cast(e.data_date AS timestamp)) DESC, e.data_date DESC, e.batch DESC, e.source_row DESC, e.event_id DESC
""".strip()

ANNOTATOR_QUALITY = View(
    "gold.annotator_quality",
    "How an annotator's answers stand against what all say together, and against O2U. The newest answer to each question counts, and "
    "of a video's labels in a tree the one given last; a yes to a label that was renamed or merged is one to what it became, its other "
    "answers are left out. How far to trust each: gold.annotators.",
    f"""WITH became AS (SELECT task, label_id AS became_id, explode(former_ids) AS label_id FROM silver.taxonomy_current),
       events AS (
         SELECT e.* EXCEPT (label_id), coalesce(b.became_id, e.label_id) AS label_id
         FROM bronze.label_events e LEFT JOIN became b ON b.task = e.task AND b.label_id = e.label_id
         WHERE b.became_id IS NULL OR e.answer = 1),
       answers AS (
         SELECT e.annotator_id, e.video_id, e.task, e.label_id, e.answer, e.data_date,
                row_number() OVER (PARTITION BY e.annotator_id, e.video_id, e.task, e.label_id {_NEWEST_FIRST}) AS place,
                row_number() OVER (PARTITION BY e.annotator_id, e.video_id, e.task, e.answer {_NEWEST_FIRST}) AS place_of_answer
         FROM events e LEFT ANTI JOIN bronze.deletions d ON d.video_id = e.video_id),
       compared AS (
         SELECT a.*, l.answer AS agreed_answer, l.verdict, a.answer IN (0, 1) AND l.answer IN (0, 1) AND l.annotators > 1 AS is_shared
         FROM answers a LEFT JOIN gold.labels_current l
         ON l.video_id = a.video_id AND l.task = a.task AND l.label_id = a.label_id
         WHERE a.place = 1 AND (a.answer <> 1 OR a.place_of_answer = 1))
       SELECT annotator_id, task, count(*) AS answers, count(DISTINCT video_id) AS videos, count_if(answer = -1) AS cannot_say,
              count_if(is_shared) AS shared_answers, count_if(is_shared AND answer = agreed_answer) AS agreed_answers,
              try_divide(count_if(is_shared AND answer = agreed_answer), count_if(is_shared)) AS agreement,
              count_if(answer = 1 AND verdict IS NOT NULL) AS judged, count_if(answer = 1 AND verdict = 'wrong') AS suspects,
              try_divide(count_if(answer = 1 AND verdict = 'wrong'), count_if(answer = 1 AND verdict IS NOT NULL)) AS suspect_share,
              max(data_date) AS last_day
       FROM compared GROUP BY annotator_id, task""",
    columns={
        "annotator_id": "who; `manifest` stands for labels that came with the video",
        "task": "which label tree",
        "answers": "questions answered: one a video and label",
        "videos": "videos answered about",
        "cannot_say": "of the answers, those that say nothing",
        "shared_answers": "yes or no to what others answered too, and where all together came to yes or no",
        "agreed_answers": "of these, those that say the same as all together",
        "agreement": "agreed_answers / shared_answers, 0..1; null where none is shared",
        "judged": "labels given (yes) that O2U judged",
        "suspects": "of these, those that O2U holds wrong",
        "suspect_share": "suspects / judged, 0..1; null where none was judged",
        "last_day": "newest day that brought an answer that counts (UTC)",
    },
)

TAG_TREND = View(
    "gold.tag_trend",
    "Videos a day with an active tag, and the week against the week before. A row for each day with videos since the tag's first.",
    """WITH days AS (SELECT DISTINCT data_date AS day FROM silver.video_text_current),
       counted AS (
         SELECT t.tag_id, t.tag, v.data_date AS day, count(*) AS videos
         FROM gold.tags_of_videos t JOIN silver.video_text_current v ON v.video_id = t.video_id GROUP BY ALL),
       tags AS (SELECT tag_id, tag, min(day) AS first_day FROM counted GROUP BY tag_id, tag),
       daily AS (
         SELECT t.tag_id, t.tag, t.first_day, d.day, coalesce(c.videos, 0) AS videos, unix_date(d.day) AS number
         FROM tags t JOIN days d ON d.day >= t.first_day LEFT JOIN counted c ON c.tag_id = t.tag_id AND c.day = d.day),
       summed AS (
         SELECT *, sum(videos) OVER (PARTITION BY tag_id ORDER BY number RANGE BETWEEN 6 PRECEDING AND CURRENT ROW) AS week,
                coalesce(sum(videos) OVER (PARTITION BY tag_id ORDER BY number RANGE BETWEEN 13 PRECEDING AND 7 PRECEDING), 0)
                AS week_before
         FROM daily)
       SELECT tag_id, tag, day, videos, week, week_before, week - week_before AS change, first_day,
              day = (SELECT max(day) FROM days) AS is_newest
       FROM summed""",
    columns={
        "tag_id": "key of gold.tag_library",
        "tag": "normal form of the tag",
        "day": "day that brought the videos: that of their newest text (UTC)",
        "videos": "videos of the day that have the tag",
        "week": "videos of the seven days up to the day",
        "week_before": "videos of the seven days before those",
        "change": "week - week_before",
        "first_day": "day of the first video that has the tag",
        "is_newest": "whether the day is the newest with videos: where is_newest order by change desc",
    },
)

MODEL_COMPARISON = View(
    "gold.model_comparison",
    "A model against the champion of that day, both on the same frozen set: metric by slice, and what was gained.",
    """WITH promoted AS (
         SELECT data_date, max_by(model_version, struct(decided_by <> 'gates', decided_at, model_version)) AS model_version
         FROM ops.promotions WHERE decision = 'promoted' GROUP BY data_date),
       champions AS (
         SELECT e.data_date, max_by(p.model_version, p.data_date) AS champion_version
         FROM (SELECT DISTINCT data_date FROM gold.evaluations) e JOIN promoted p ON p.data_date < e.data_date GROUP BY e.data_date),
       compared AS (
         SELECT e.data_date, e.model_version, e.slice, e.metric, e.value, e.rows, c.champion_version, o.value AS champion_value
         FROM gold.evaluations e LEFT JOIN champions c ON c.data_date = e.data_date
         LEFT JOIN gold.evaluations o ON o.data_date = e.data_date AND o.model_version = c.champion_version
              AND o.slice = e.slice AND o.metric = e.metric)
       SELECT *, CASE WHEN metric = 'log_loss' THEN champion_value - value ELSE value - champion_value END AS improvement,
              model_version <=> champion_version AS is_champion
       FROM compared""",
    columns={
        "data_date": "day of the evaluation (UTC)",
        "model_version": "which model",
        "slice": "all, head, mid, tail, without_visual, without_audio, without_text, newest, random",
        "metric": "accuracy, macro_recall or log_loss",
        "value": "value of the metric",
        "rows": "rows of the slice",
        "champion_version": "champion before the day; null for the first model",
        "champion_value": "its value on the same rows; null where it was not evaluated on that day",
        "improvement": "difference to the champion, larger is better whatever the metric",
        "is_champion": "whether the model is that champion itself",
    },
)

COST_PER_STEP = View(
    "ops.cost_per_step",
    "What a job of a day cost: seconds of all its runs, and rows a second of the last.",
    """SELECT data_date, job, count(*) AS runs, count_if(status = 'failed') AS failed_runs, sum(seconds) AS seconds,
              try_divide(sum(seconds), sum(sum(seconds)) OVER (PARTITION BY data_date)) AS share_of_day,
              max_by(status, struct(started_at, run_id)) AS last_status, max_by(seconds, struct(started_at, run_id)) AS last_seconds,
              max_by(rows_in, struct(started_at, run_id)) AS rows_in, max_by(rows_out, struct(started_at, run_id)) AS rows_out,
              max_by(quarantined, struct(started_at, run_id)) AS quarantined,
              try_divide(max_by(rows_in, struct(started_at, run_id)), max_by(seconds, struct(started_at, run_id))) AS rows_in_per_second,
              try_divide(max_by(rows_out, struct(started_at, run_id)), max_by(seconds, struct(started_at, run_id))) AS rows_out_per_second
       FROM ops.runs GROUP BY data_date, job""",
    columns={
        "data_date": "the date that was run",
        "job": "name of the job",
        "runs": "how often it ran for the date",
        "failed_runs": "of these, those that failed",
        "seconds": "of all runs together",
        "share_of_day": "of the seconds of all jobs of the date, 0..1",
        "last_status": "how the last run ended: succeeded, stepped_aside or failed",
        "last_seconds": "of the last run",
        "rows_in": "rows that the last run read",
        "rows_out": "rows that it wrote",
        "quarantined": "rows that it refused",
        "rows_in_per_second": "of the last run",
        "rows_out_per_second": "of the last run",
    },
)

ITEM_LABEL_PRECISION = View(
    "gold.item_label_precision",
    "How often items are right about labels: as learned from labelled videos, and of the videos that were queued for it, once answered.",
    """WITH queued AS (
         SELECT b.task, b.item_category, b.expected_label_id AS label_id, b.video_id, t.ancestors
         FROM gold.active_batch_current b LEFT JOIN silver.taxonomy_current t ON t.task = b.task AND t.label_id = b.expected_label_id
         WHERE b.expected_label_id IS NOT NULL),
       judged AS (
         SELECT q.task, q.item_category, q.label_id, q.video_id, max(l.answer = 1 AND l.label_id = q.label_id) AS is_right,
                max(CASE l.answer WHEN 1 THEN NOT array_contains(q.ancestors, l.label_id)
                                  WHEN 0 THEN l.label_id = q.label_id OR array_contains(q.ancestors, l.label_id) END) AS is_answered
         FROM queued q LEFT JOIN silver.labels_current l ON l.video_id = q.video_id AND l.task = q.task GROUP BY ALL),
       counted AS (
         SELECT task, item_category, label_id, count(*) AS queued_videos, count_if(is_answered) AS answered_videos,
                count_if(is_right) AS right_videos
         FROM judged GROUP BY ALL)
       SELECT task, item_category, label_id, m.videos, m.labelled_videos, m.precision, m.precision_low,
              coalesce(m.is_rare, false) AS is_rare, coalesce(c.queued_videos, 0) AS queued_videos,
              coalesce(c.answered_videos, 0) AS answered_videos,
              coalesce(c.right_videos, 0) AS right_videos, try_divide(c.right_videos, c.answered_videos) AS queued_precision
       FROM gold.item_label_map_current m FULL JOIN counted c USING (task, item_category, label_id)""",
    columns={
        "task": "which label tree",
        "item_category": "category of an item in the shop's tree, from the root down",
        "label_id": "leaf that the category speaks for",
        "videos": "labelled videos with such an item that have the label; null where the category no longer speaks for it",
        "labelled_videos": "all labelled videos with such an item",
        "precision": "videos / labelled_videos, 0..1",
        "precision_low": "lower end of its 90 % interval",
        "is_rare": "whether videos are queued for it: few have the label so far",
        "queued_videos": "videos that were queued because of it",
        "answered_videos": "of these, those about which people said whether it is the label",
        "right_videos": "of those, the ones that have it",
        "queued_precision": "right_videos / answered_videos, 0..1; null without answers",
    },
)

VIEWS = [
    WHY_PREDICTED,
    NEAREST_LABELLED,
    CLUSTERS_NAMED,
    COVERAGE_BY_CATEGORY,
    ANNOTATOR_QUALITY,
    TAG_TREND,
    MODEL_COMPARISON,
    COST_PER_STEP,
    ITEM_LABEL_PRECISION,
]
