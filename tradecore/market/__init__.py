"""Senses: rows of market data, the array-valued answers to them, and where they come from."""
