"""A day as one self-contained HTML page: queries (reading) -> plain dataclasses (content) -> HTML (pages)."""

from reelhouse.report.content import mention_of
from reelhouse.report.folder import forget_videos, write_report

__all__ = ["forget_videos", "mention_of", "write_report"]
