"""Refuse entries whose exit cannot be proven now."""
