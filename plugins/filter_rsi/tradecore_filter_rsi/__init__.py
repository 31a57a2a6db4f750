"""Let entries pass only where Wilder's RSI stands on the right side of a level."""
