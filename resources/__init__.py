"""Where things live: profiles, warehouse, Airbyte, dbt, model registry, clock, alerts.

Only this package knows an environment variable, a path or a server. Assets ask for a resource by name and never for its
place; tests pass other resources through `definitions.build_definitions(overrides=...)`.
"""
