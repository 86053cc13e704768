"""Identifications: what people say of a figure, and what follows from it."""
