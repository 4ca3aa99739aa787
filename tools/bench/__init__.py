"""Measurements, one file each: every one prints ratios of what ran in turns on one machine, beside their goals.

`whole` compares a run of everything with `bare`, a script that does the same work. `judgement` takes a week's judgement
apart, `postgres` compares an instance's databases, `scoring` compares SQL with Python. `endpoint`
measures answers over HTTP beside two servers of others, with `asking` as its client. `scale` and `replicated` measure
a week with many times the customers. A new one prints its own table and becomes a line of `make bench`.
"""
