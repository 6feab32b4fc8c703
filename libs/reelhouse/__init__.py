"""Reelhouse: a lakehouse for understanding short videos."""
