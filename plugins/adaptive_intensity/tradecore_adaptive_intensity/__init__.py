"""Move thresholds of other guests by how well trades go."""
