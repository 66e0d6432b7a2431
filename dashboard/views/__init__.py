"""What the pages show: pure functions of what the API answered."""
