"""Illustrations: what a source lists, their images, their figures, and the mirror of what Commons says."""
