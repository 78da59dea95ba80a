"""From the broker into the ledger: frames, evidence, receipts."""
