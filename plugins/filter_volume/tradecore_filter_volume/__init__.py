"""Let entries pass only where enough money was traded lately."""
