"""Training: episodes to tokens, the pocket base, adapters."""
