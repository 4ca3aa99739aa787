"""What a problem has: feature frame, training, predictions, and the monitoring that keeps them right."""
