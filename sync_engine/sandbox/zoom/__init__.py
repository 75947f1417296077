"""Zoom as a local HTTP server: one account, its meetings, and the people who work in it."""

from sync_engine.sandbox.zoom.sandbox import Mail, TrackingField, ZoomSandbox

__all__ = ["Mail", "TrackingField", "ZoomSandbox"]
