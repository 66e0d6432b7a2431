"""Events out: from a commit to a receiver, by outbox, lanes and one worker; beside an RQ job for each delivery."""
