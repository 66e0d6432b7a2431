"""Zapier's Partner API as our port `Upstream`: every call under a permit, no answer believed before it is checked."""

from orchestrator.zapier.client import ZapierClient
from orchestrator.zapier.limits import Limits
from orchestrator.zapier.oauth import ZapierOAuth

__all__ = ["Limits", "ZapierClient", "ZapierOAuth"]
