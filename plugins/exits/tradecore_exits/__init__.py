"""Lead positions out by take profit, stop loss, trailing stop and time to live."""
