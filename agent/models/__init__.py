"""Clients of model endpoints, one file per wire format."""
