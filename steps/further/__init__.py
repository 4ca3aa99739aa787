"""What the assets of every problem beside the first do, whatever its kind: the ledger of decisions, and the cards."""
