"""The shapes of requests, answers and problems. They know JSON and bounds, and decide nothing."""
