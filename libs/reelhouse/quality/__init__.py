"""Great Expectations: rows are audited before they are published; those that fail are told apart, with the reason."""

from reelhouse.quality.audit import Audit, audit, warm

__all__ = ["Audit", "audit", "warm"]
