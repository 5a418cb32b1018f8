"""The entries of the atlas, a file a family.

`powers` of w, `truncated` weights, `ratios` that are differentiated, ratios by `lengths`, functions
of `probabilities`, and `shrunk` weights, which are smooth and bounded or grow slowly.
"""
