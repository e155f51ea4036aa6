"""Services that use Workbench from the outside."""
