"""Message buses: one inside the process, and RabbitMQ."""
