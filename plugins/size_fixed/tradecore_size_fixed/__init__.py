"""Size entries by a fixed amount of money or a share of the equity."""
