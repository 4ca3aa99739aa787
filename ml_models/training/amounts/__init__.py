"""Training where an amount is predicted: its measures, search, gate and evidence.

Splits, fits, folds of customers and the grounds for replacing a champion are those of the other kinds.
"""
