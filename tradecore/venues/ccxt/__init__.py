"""Real exchanges through ccxt: unmodified, watched at the transport, believed only by evidence."""
