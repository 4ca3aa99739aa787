"""The drill as a benchmark: faulted weeks, truth and scorer in one folder that others can use without baton."""
