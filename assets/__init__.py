"""The graph. An asset reads, calls one step, writes and reports; what it does is in `steps/`.

Read it in the order in which data flows. `company/` has what there is once, whatever is predicted: `airbyte` lands the
raw tables, `dbt` builds canonical tables, features and outcomes, `quality` judges what arrived. `problem/` has what is
predicted: `frame`, `training_set`, `candidate`, `promotion`, `predictions`, `performance`, `drift`, `judgement`, and
last `serving`; beside the graph, `backtest`.
`reporting` is how results are shown. Who owns what, and what a table holds, is in `steps/ownership.py` and
`steps/tables.py`.
"""
