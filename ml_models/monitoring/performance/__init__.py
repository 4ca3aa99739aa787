"""Whether predictions held, once outcomes are known."""
