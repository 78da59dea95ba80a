"""The centre's store: tables, migrations, and the one way to write."""
