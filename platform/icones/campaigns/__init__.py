"""Campaigns: their settings, their rules, and the one door to them."""
