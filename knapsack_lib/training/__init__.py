"""Training: conversations to tokens, the pocket base, adapters."""
