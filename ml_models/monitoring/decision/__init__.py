"""Exactly one decision a week, and the ledger of past ones."""
