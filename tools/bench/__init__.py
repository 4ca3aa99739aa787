"""Measurements: the whole run, a judgement, the instance's database, scoring, scale; each prints ratios of one run."""
