"""Zapwright's orchestrator: Zap-creation sessions as persisted state machines."""
