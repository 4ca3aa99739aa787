"""The fixtures of these tests; what they are made of is in `airbyte_world`."""

from airbyte_world import bundled, connector, damaged, recording, sample, world

__all__ = ["bundled", "connector", "damaged", "recording", "sample", "world"]
