"""Language models: one file an experiment, the same code on two CPU cores and on a GPU.

    python -m experiments.lm [NAME...] --preset smoke|cpu|gpu [--out DIR]

A module with an EXPERIMENT is an experiment of its module's name; the others are what they share:
tasks and vocabulary, models, logs with the log-probabilities of mu, sampling and scoring, and the
workshop that keeps what several experiments need.
"""
