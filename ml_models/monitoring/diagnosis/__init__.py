"""What explains a change: the data, our own code, or the world."""
