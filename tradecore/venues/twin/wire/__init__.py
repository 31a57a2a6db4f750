"""The twin on the wire: Binance-spot v3 and MEXC-spot v3 over loopback HTTP, for real clients."""
