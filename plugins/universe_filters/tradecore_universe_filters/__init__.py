"""Keep entries to symbols worth trading: by volume, price, spread, age, volatility and lists."""
