"""What one company has once, whatever is predicted: its raw tables, dbt models, and the quality of what arrives."""

from resources.lean_dagster_dbt import import_dagster_dbt_lean

# Before any module here imports dagster-dbt: it would load dbt, which is needed to build, and not to draw the graph.
import_dagster_dbt_lean()
