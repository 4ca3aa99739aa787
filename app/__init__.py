"""Pages for people who use the predictions; they read what a run has published, and change nothing."""
