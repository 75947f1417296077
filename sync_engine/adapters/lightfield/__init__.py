"""Lightfield API: meetings that a calendar brought or that were added after they ended."""
