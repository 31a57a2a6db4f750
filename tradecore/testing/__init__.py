"""The kit for plugin authors and for our own tests."""
