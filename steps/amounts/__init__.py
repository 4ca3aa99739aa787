"""What the assets of a further problem do that predicts an amount: spend today. Each step is given the problem."""
