"""The figures: each one a module with CLAIMS, CAPTION, SIZE, data() and draw().

`data()` returns plain tables, which are committed as CSV; `draw(tables, figure)` puts them on a
matplotlib figure and computes nothing. CLAIMS names the statements of the ledger that the figure
illustrates; their verdicts stand in the caption and under the figure. `python -m figures` draws.
"""
