"""The least that baton needs: somebody's table of orders. Try it: `dagster dev -f examples/minimal.py`."""

from pathlib import Path

from definitions import build_definitions
from resources.company import use

use(
    "minimal",
    {
        "title": "A shop",
        "time": {"zone": "Europe/Paris"},
        "tables": {"orders": {"source": "parquet:orders.parquet", "keys": ["order_id"], "time": "ordered_at"}},
        "order_lines": {
            "table": "orders",
            "grain": "order",
            "order": "order_id",
            "customer": "customer_id",
            "time": "ordered_at",
            "amount": "total",
        },
    },
    folder=Path(__file__).parent,
)

defs = build_definitions()
