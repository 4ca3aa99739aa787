"""The weekly judgement: quality, drift, performance; what explains them; what to do. Plain Python on frames.

Read in this order: `evidence` (the words used everywhere), `quality`, `drift`, `performance`, `attribution`,
`decision`, and `week`, which calls them in turn for one cutoff.
"""
