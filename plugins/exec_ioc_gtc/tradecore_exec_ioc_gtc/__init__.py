"""Route orders up a ladder of IOC and GTC steps."""
