"""Icones: people and a model together name the species on natural-history illustrations."""

__version__ = "0.1.0"
