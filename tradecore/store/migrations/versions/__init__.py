"""One file per schema, named for its number."""
