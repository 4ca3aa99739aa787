"""An Airbyte source that plays the bundled grocery-shopping recording up to a given instant."""
