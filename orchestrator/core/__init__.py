"""What Zapwright knows, without any I/O: standard library and `transitions` only."""
