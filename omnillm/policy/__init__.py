"""Policy: what is admitted, tried again and charged; pure decisions over an injected clock."""
