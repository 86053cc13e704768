"""Exports: what a curator takes home."""
