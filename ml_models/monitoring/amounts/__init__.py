"""The week of a problem that predicts an amount: do its totals and errors hold, and what follows."""
