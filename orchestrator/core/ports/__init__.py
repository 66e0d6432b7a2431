"""What the core needs of the world, as small protocols, by what they are about.

Adapters live in `store`, `zapier` and `workers`; every one of a port passes the same contract suite (`tests/contract`).
"""
