"""The model registry (MLflow): runs, checkpoints, registered models and their aliases."""

from reelhouse.registry.registry import RegisteredModel, Registry, TrainingRun

__all__ = ["RegisteredModel", "Registry", "TrainingRun"]
