"""Time and chance behind their ports: wall clock, scaled and virtual loops, ids."""
