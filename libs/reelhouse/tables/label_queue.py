"""What people are asked about labels: labels with their verdict, and the queue of videos to label."""

from reelhouse.tables.gold import SAMPLE_BATCH
from reelhouse.tables.schema import View
from reelhouse.tables.silver import IS_ANSWERED, IS_CONTESTED

LABELS_CURRENT = View(
    "gold.labels_current",
    "Labels as of now with O2U's verdict, without those that were renamed, merged or retired.",
    """SELECT l.*, n.verdict, n.score AS noise_score, n.suggested_label_id, n.suggestion_confidence, n.reason AS noise_reason
       FROM silver.labels_current l LEFT JOIN gold.label_noise_current n USING (video_id, task, label_id)
       WHERE l.source <> 'migration'""",
)

SUSPECT = "suspect"  # chosen_by of labels that look wrong
_QUEUED = ", ".join(SAMPLE_BATCH.names)

# A suspect is asked about once: whatever a person says of the video after the first verdict ends it, and so does a later hand-out. Those of
# the verdict's own day came before it.
LABEL_QUEUE = View(
    "gold.label_queue",
    "Videos that people should label now: both batches and what people disagree about, less what was answered and not contested, or "
    "handed out and not come back open; after these, labels that look wrong and that nobody looked at since, worst first.",
    f"""WITH batches AS (
         SELECT *, row_number() OVER (PARTITION BY video_id, task ORDER BY data_date DESC, chosen_by) AS place FROM (
           SELECT {_QUEUED}, 'density' AS chosen_by FROM gold.sample_batch_current
           UNION ALL SELECT {_QUEUED}, 'active' AS chosen_by FROM gold.active_batch_current)),
       contested AS (
         SELECT video_id, task, min(agreement) AS agreement, max(data_date) AS since
         FROM silver.labels_current WHERE {IS_CONTESTED} GROUP BY video_id, task),
       chosen AS (
         SELECT video_id, task, rank, reason, score, is_random, data_date, chosen_by FROM batches WHERE place = 1
         UNION ALL
         SELECT c.video_id, c.task,
                CAST(row_number() OVER (PARTITION BY c.task ORDER BY c.agreement, c.since, c.video_id) AS INT) AS rank,
                'people disagree about it' AS reason, 1 - c.agreement AS score, false AS is_random, c.since AS data_date,
                'disagreement' AS chosen_by
         FROM contested c LEFT ANTI JOIN batches b ON b.video_id = c.video_id AND b.task = c.task),
       waiting AS (
         SELECT q.* FROM chosen q
         LEFT ANTI JOIN (SELECT video_id, task FROM silver.labels_current GROUP BY video_id, task HAVING {IS_ANSWERED}) l
         ON l.video_id = q.video_id AND l.task = q.task
         LEFT ANTI JOIN (
           SELECT e.video_id, e.task FROM bronze.label_exports e LEFT ANTI JOIN silver.labels_current u
           ON u.video_id = e.video_id AND u.task = e.task AND u.answer = -1 AND u.data_date >= e.data_date) h
         ON h.video_id = q.video_id AND h.task = q.task),
       accused AS (
         SELECT video_id, task, label_id, min(data_date) AS since FROM gold.label_noise WHERE verdict = 'wrong' GROUP BY ALL),
       suspects AS (
         SELECT l.video_id, l.task, l.label_id, l.noise_score, l.suggested_label_id, l.suggestion_confidence, a.since,
                row_number() OVER (PARTITION BY l.video_id, l.task ORDER BY l.noise_score DESC, l.label_id) AS place
         FROM gold.labels_current l JOIN accused a ON a.video_id = l.video_id AND a.task = l.task AND a.label_id = l.label_id
         LEFT ANTI JOIN bronze.label_events e
         ON e.video_id = l.video_id AND e.task = l.task AND e.annotator_id <> 'manifest' AND e.data_date > a.since
         LEFT ANTI JOIN bronze.label_exports h ON h.video_id = l.video_id AND h.task = l.task AND h.data_date > a.since
         LEFT ANTI JOIN waiting w ON w.video_id = l.video_id AND w.task = l.task
         WHERE l.answer = 1 AND l.verdict = 'wrong')
       SELECT *, CAST(NULL AS STRING) AS suggested_label_id, CAST(NULL AS DOUBLE) AS suggestion_confidence FROM waiting
       UNION ALL
       SELECT s.video_id, s.task,
              CAST(w.last + row_number() OVER (ORDER BY s.noise_score DESC, s.video_id, s.task) AS INT) AS rank,
              concat('given ', coalesce(g.path, s.label_id), coalesce(concat(', which looks like ', n.path), ', which looks wrong'),
                     coalesce(printf(' (noise score %.2f)', s.noise_score), '')) AS reason,
              s.noise_score AS score, false AS is_random, s.since AS data_date, '{SUSPECT}' AS chosen_by,
              n.label_id AS suggested_label_id, s.suggestion_confidence
       FROM suspects s CROSS JOIN (SELECT coalesce(max(rank), 0) AS last FROM waiting) w
       LEFT JOIN silver.taxonomy_current g ON g.task = s.task AND g.label_id = s.label_id
       LEFT JOIN silver.taxonomy_current n
       ON n.task = s.task AND (n.label_id = s.suggested_label_id OR array_contains(n.former_ids, s.suggested_label_id))
       WHERE s.place = 1""",
)

VIEWS = [LABELS_CURRENT, LABEL_QUEUE]
