"""The product's only memory: sessions, watches, budget and credentials, in a Redis-protocol store or in plain dicts."""
