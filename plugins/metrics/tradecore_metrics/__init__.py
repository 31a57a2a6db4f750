"""Figures of a run for Prometheus, StatsD and a JSON file."""
