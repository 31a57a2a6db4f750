"""Needs: what the engine asks of the outside, as Protocols."""
