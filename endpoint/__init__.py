"""Answers for programs: a score by customer, scores of feature vectors, and how the endpoint itself is."""
