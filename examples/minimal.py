"""The least that baton needs: somebody's table of orders. Try it: `dagster dev -f examples/minimal.py`."""

from pathlib import Path

from component import definitions_for

defs = definitions_for(
    "minimal",
    {
        "title": "A shop",
        "recording_ends": "2024-07-01T08:00:00+02:00",
        "time": {"zone": "Europe/Paris"},
        "tables": {"orders": {"source": "csv:component/data/orders.csv"}},
        "order_lines": {
            "table": "orders",
            "grain": "order",
            "customer": "customer_id",
            "time": "ordered_at",
            "amount": "total",
        },
    },
    folder=Path(__file__).parent,
)
