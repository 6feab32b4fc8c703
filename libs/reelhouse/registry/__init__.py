"""The model registry (MLflow): runs, checkpoints, registered models and their aliases."""

from reelhouse.registry.registry import Registry, TrainingRun

__all__ = ["Registry", "TrainingRun"]
