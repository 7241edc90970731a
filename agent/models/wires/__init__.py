"""The APIs of model endpoints, one file each."""
