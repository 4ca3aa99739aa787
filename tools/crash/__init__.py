"""The crash suite: whole process families are killed at random moments, and one more run must heal what they left."""
