"""Runs that test what the theory predicts about training: `python -m experiments.bandit --help`."""
