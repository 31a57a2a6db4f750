"""Watch figures and events against rules, and tell people once."""
