"""Asking a live Partner API what its documentation leaves open: measured one call at a time, under permits."""

from orchestrator.zapier.probing.lab import HaltedError, Lab
from orchestrator.zapier.probing.questions import Finding, Question, planned, probe

__all__ = ["Finding", "HaltedError", "Lab", "Question", "planned", "probe"]
