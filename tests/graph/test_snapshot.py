"""The graph's shape, snapshot: an asset, dependency, owner, check, job, schedule or sensor never changes unseen.

After a deliberate change: `make snapshot`, and the diff of `snapshot.json` is part of the review.
"""

import json
from pathlib import Path

from tools.snapshot import describe

SNAPSHOT = Path(__file__).with_name("snapshot.json")


def test_the_graph_is_as_it_was_reviewed(baton):
    described = json.loads(json.dumps(describe(baton.definitions)))
    reviewed = json.loads(SNAPSHOT.read_text())
    for part in reviewed:
        assert described[part] == reviewed[part], f"{part} changed; if that was meant, run `make snapshot`"
    assert set(described) == set(reviewed)
