"""A venue of our own that can fail as venues fail."""
