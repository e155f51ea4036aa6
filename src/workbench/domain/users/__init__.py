"""People, as the service knows them."""
