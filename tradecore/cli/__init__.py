"""The command line: one file per command group. Heavy things are imported inside the commands: help is quick."""
