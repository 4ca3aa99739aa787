"""What builds and measures the house itself: environments, the lock, samples, test servers, the graph's snapshot."""
