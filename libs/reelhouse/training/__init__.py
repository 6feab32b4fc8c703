"""Training: labels -> snapshot -> Petastorm -> ranks -> model, and what is asked of a model before it is promoted."""
