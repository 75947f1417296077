"""What differs from one simulated world to the next: settings, switches, what goes on in it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta

from sync_engine.sandbox.world import World


@dataclass
class Mood:
    """Draw a world's settings from its seed.

    ``lines``: configuration per connection. ``calendars``: whether Zoom's bookings reach the team's
    calendars, which Attio and Lightfield copy. ``stormy``: how much of a history is bad weather.
    """

    calendars: bool = False
    grace_minutes: float = 0
    copy_delays: tuple[int, int] = (0, 0)
    deletions: str = "propagate"
    conflicts: str = ""
    shares_notes: bool = False
    lightfield_replaces: bool = False
    stormy: float = 1.0
    lines: dict[str, list[str]] = field(default_factory=dict)
    switches: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, seed: int) -> Mood:
        """Draw the mood of a seed."""
        rng = random.Random(f"{seed}:mood")
        mood = cls()
        if rng.random() < 0.45:
            mood.calendars = True
            mood.grace_minutes = rng.choice([0, 15, 15])
            mood.copy_delays = (rng.choice([2, 10, 40]), rng.choice([2, 10, 40]))
        mood.deletions = rng.choices(["propagate", "keep", "ask"], [10, 1, 1])[0]
        mood.conflicts = rng.choices(["", "ask"], [9, 1])[0]
        mood.shares_notes = rng.random() < 0.2
        mood.lightfield_replaces = rng.random() < 0.3
        mood.stormy = rng.choice([0.0, 0.5, 1.0, 2.0])
        mood._configure(rng)
        mood._switch(rng)
        return mood

    def _configure(self, rng: random.Random) -> None:
        workspace = [f'deletions = "{self.deletions}"']
        if self.conflicts:
            workspace.append(f'conflicts = "{self.conflicts}"')
        each = [f"concurrency = {rng.choice([1, 1, 1, 4])}", "timeout_seconds = 5"]
        self.lines = {name: list(each) for name in ("zoom", "attio", "lightfield", "prospects")}
        self.lines["workspace"] = workspace
        self.lines["attio"].append("replace = true")
        if self.lightfield_replaces:
            self.lines["lightfield"].append("replace = true")
        if self.shares_notes:
            self.lines["prospects"].append('notes = "description"')

    def _switch(self, rng: random.Random) -> None:
        """Draw what the providers do not document."""
        options: dict[str, list[object]] = {
            "zoom.retry_after_form": ["iso", "seconds", "http_date", "absent"],
            "zoom.patch_merges_arrays": [False, False, True],
            "zoom.over_length": ["refused", "cut"],
            "attio.calendar_actor": ["system", "system", "workspace-member"],
            "attio.calendar_text_has_link": [True, False],
            "lightfield.trashed_readable": [False, True],
            "lightfield.rule_status": [422, 400],
            "lightfield.cancelled_goes_to_trash": [False, True],
            "lightfield.summaries_lack_description": [False, True],
            "lightfield.wrapped_errors": [True, False],
            "prospect_crm.update_method": ["PATCH", "POST", "PUT"],
            "prospect_crm.wrong_verb_status": [405, 404],
            "prospect_crm.soft_delete": [False, True],
            "prospect_crm.generation": ["G3", "G3", "G3", "G2"],
        }
        self.switches = {name: rng.choice(choices) for name, choices in options.items()}

    def apply(self, world: World) -> None:
        """Set a world's switches."""
        for name, value in self.switches.items():
            sandbox, attribute = name.split(".")
            setattr(getattr(world, sandbox), attribute, value)
        if self.calendars:
            world.zoom.publishes_to_calendar = True
            world.attio.calendar_sync_delay = timedelta(minutes=self.copy_delays[0])
            world.lightfield.calendar_sync_delay = timedelta(minutes=self.copy_delays[1])
