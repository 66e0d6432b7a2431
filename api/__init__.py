"""The HTTP API: it parses, calls one use case, and shows what came of it."""
