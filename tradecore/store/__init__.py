"""The store behind the port: SQLModel tables, one batching writer, migrations."""
