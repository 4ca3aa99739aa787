"""Environments of the tests' own: programs whose dependencies must never meet ours."""
