"""The operators' dashboard: pages about a running deployment, which speak to its API over HTTP and to nothing else."""
