"""What operators ask of a store with a hundred thousand sessions, each written by the commits of its own life."""
