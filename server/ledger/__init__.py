"""Double-entry ledger, accumulators, adjustments, and what pages ask of them."""
