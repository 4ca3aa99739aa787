"""What a customer buys next: training set, candidate, champion, lists and their performance, between tables and models.

`there` tells whether this company asks the question at all.
"""
