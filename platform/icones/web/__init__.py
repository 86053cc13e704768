"""Drivers for people and machines: pages, fragments, the JSON API, sign-in, error pages."""
