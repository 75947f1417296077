"""The demo: four sandboxes, a day of edits, a conflict, a cancellation; what it shows, it has checked."""

from sync_engine.demo.play import run_demo

__all__ = ["run_demo"]
