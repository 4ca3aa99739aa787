"""A campaign in which chance decides who is called: the draw, and what a call changed.

Whoever is called because the model says so differs from whoever is not. Only a draw tells what the call itself did.
"""
