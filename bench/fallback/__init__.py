"""How soon, and with how many calls, results are found whose message was lost: ours beside a naive loop.

Everything of ours is real (schedule, dispatcher, budget, store scripts, client) and so is the simulator's rate limit;
only time is simulated.
"""
