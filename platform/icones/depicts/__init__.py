"""Depicts edits: what is said on Commons, how it is decided, and how nothing is lost or said twice."""
