"""What one company has once, whatever is predicted: its raw tables, dbt models, and the quality of what arrives."""
