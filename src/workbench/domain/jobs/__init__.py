"""Background duties and the leases that keep each to one worker."""
