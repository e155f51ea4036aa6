"""Jobs to be done later, and the leases that keep a duty to one worker."""
