"""Buy where the price rose far enough over a look-back window."""
