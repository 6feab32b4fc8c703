"""Which labels are likely wrong: O2U-Net's cyclical training on frozen features, with losses measured on held-out folds."""

from reelhouse.noise.o2u import CLEAN, HARD, WRONG, NoiseScores, o2u_scores

__all__ = ["CLEAN", "HARD", "WRONG", "NoiseScores", "o2u_scores"]
