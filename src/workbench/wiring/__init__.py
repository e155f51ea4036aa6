"""The only place that names adapters: settings in, container out."""
