"""Reading what a Semantic Workbench service has stored, to move it here."""
