"""Traces with OpenTelemetry. Imported only where settings ask for them: it needs the extra `otel`."""
