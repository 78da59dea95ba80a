"""Migrations of the store, applied by `server.store.store`."""
