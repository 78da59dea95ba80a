"""Released revisions; never changed afterwards."""
