"""What the Makefile's targets call: set up, run, replay, look, measure."""
