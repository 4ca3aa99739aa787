"""Policy: when something runs, and what follows from a failed check. No mathematics here.

`jobs.py` names the parts of the graph that run together, `schedules.py` when they run by themselves, and the other
modules hold one sensor each.
"""
