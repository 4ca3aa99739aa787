"""Whether features and scores moved, against their own past."""
