"""Allow each entry its own slippage and spread, from the book, the volatility and past fills."""
