"""Alembic migrations, run by `tradecore.store.migrate`."""
