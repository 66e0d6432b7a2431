"""The suite. `tests.support` holds what several kinds of test share."""
