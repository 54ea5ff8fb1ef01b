"""Training: episodes to examples, the pocket base, adapters."""
