"""Buy where the price fell far enough below the highest price of a look-back window."""
