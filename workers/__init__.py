"""What runs beside the API: dispatching, checking and sweeping, in long-lived RQ worker processes."""
