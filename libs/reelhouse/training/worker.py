"""One training process: python -m reelhouse.training.worker <folder>. The launcher starts it, once a rank.

The folder holds plan.json, launch.json and perhaps resume.pt; rank 0 leaves progress.jsonl, checkpoint-*.pt and, last, model.pt.
On several machines it must be a folder that all of them see.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from reelhouse.errors import TrainingError

_SOURCE_GONE_EXIT = 3


def main(folder: Path) -> None:
    launch = json.loads((folder / "launch.json").read_text(encoding="utf-8"))
    if launch["watched_pid"]:
        threading.Thread(target=_end_with, args=(launch["watched_pid"],), daemon=True).start()
    from reelhouse.training.loop import Plan, Trainer
    from reelhouse.training.ranks import join_ranks

    ranks = join_ranks(launch["launcher"])
    # the process that listens to rank i, for those who look after it
    (folder / f"rank-{ranks.rank}.pid").write_text(str(os.getpid()))
    resume = folder / "resume.pt"
    plan = Plan.from_json((folder / "plan.json").read_text(encoding="utf-8"))
    trainer = Trainer(plan, ranks, ranks.broadcast(resume.read_bytes() if ranks.rank == 0 and resume.exists() else None))

    def report(figures: dict[str, float]) -> None:
        with (folder / "progress.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(figures) + "\n")

    def save(epoch: int, content: bytes) -> None:
        _write(folder / f"checkpoint-{epoch:05d}.pt", content)

    content = trainer.run(report, save)
    if ranks.rank == 0:
        _write(folder / "model.pt", content)
    ranks.allgather(True)  # nobody leaves before the model is there
    ranks.close()


def _write(path: Path, content: bytes) -> None:
    """A file that is there is whole."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)


def _end_with(pid: int) -> None:
    """Ends this process when the one that asked for the training is gone: nobody would take the result."""
    import psutil

    try:
        source = psutil.Process(pid)
        while source.is_running() and source.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1.0)
    except psutil.NoSuchProcess:
        pass
    os._exit(_SOURCE_GONE_EXIT)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
        # all is written: what libraries do when the interpreter ends can only fail (gloo's threads may abort the process)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    except TrainingError as error:
        # the launcher looks for this line in the log
        print(f"TrainingError: {error}", file=sys.stderr, flush=True)
        # at once: another rank may be waiting in a collective call that will not come
        os._exit(1)
