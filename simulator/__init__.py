"""A simulated Zapier Partner API v2, for development, demonstrations and tests.

It speaks the API's routes, shapes, limits and errors on its own origin, remembers its world in a data directory, and
does on request what the real service does rarely: answers late, wrongly, twice or not at all. It imports nothing of
the product that it is there to test.

Where to look: `app` builds it, `main` serves it, `inprocess` calls it without a socket; `routes` is the API and
`control` the switchboard; `world` is what is remembered, `switches` what can be set and `faults` what it does to an
answer, `limits` the rate limits, `apps` the catalogue. `docs/simulator.md` is the manual.
"""
