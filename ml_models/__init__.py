"""The mathematics of baton in plain Python: no Dagster, no warehouse, no environment.

What belongs here: functions from frames to frames, models, verdicts and pictures, and one folder per problem
(`lapse/`) with its schema and constants. What does not: reading, writing, scheduling, reporting.
"""
