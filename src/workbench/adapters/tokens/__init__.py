"""User tokens: issuers, keys, verification."""
