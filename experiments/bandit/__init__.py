"""Bandits: one file an experiment, exact by enumeration wherever the actions are finitely many.

    python -m experiments.bandit [NAME...] [--seeds N] [--jobs N]

A module with an EXPERIMENT is an experiment of its module's name.
"""
