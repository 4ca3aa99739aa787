"""The graph, in the order in which data flows: airbyte, dbt, features, training, predictions, monitoring.

Assets are thin: read, call one function of `ml_models`, write, report. Beside them are the tables of policy
(`ownership.py`), the contracts of the tables that Python writes (`tables.py`) and how results
are shown (`reporting.py`).
"""
