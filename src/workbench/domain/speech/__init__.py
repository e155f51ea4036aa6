"""Speech in clients: they listen and speak by a service that they call themselves."""
