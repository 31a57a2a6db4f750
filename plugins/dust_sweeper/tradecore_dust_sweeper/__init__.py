"""Sell what positions left behind as dust, or take it along with the next buy."""
