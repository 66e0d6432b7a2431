"""The life of a session, four durable transitions long, in every way one might build it."""
