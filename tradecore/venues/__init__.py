"""Venues behind the port: one outside library per file."""
