"""Write alerts into the log and into a file of JSON lines."""
