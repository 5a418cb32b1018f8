"""Summaries of recorded runs, one JSON file a run: what the predictions of the ledger read."""
