"""Check entries against the limits of the account, and cap their price."""
