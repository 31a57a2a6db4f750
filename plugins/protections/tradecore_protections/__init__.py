"""Keep entries away for a while after what went wrong."""
