"""Brings the sandboxes' webhooks to an engine that serves on this machine."""

from __future__ import annotations

import queue
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from sync_engine.adapters.base import check_base_url
from sync_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from sync_engine.sandbox.server import Delivery

_CONNECTIONS = {"prospect_crm": "prospects"}
_ATTEMPTS = 3
_MOST_WAITING = 10_000


class Courier:
    """Posts deliveries one after the other, in the background; what nobody takes is lost, as in life."""

    def __init__(self, base_url: str, workspace: str) -> None:
        try:
            self._base = f"{check_base_url(base_url)}/webhooks/{workspace}"
        except ValueError as error:
            raise ConfigurationError(f"--webhooks {error}") from error
        self._waiting: queue.Queue[Delivery] = queue.Queue(_MOST_WAITING)
        threading.Thread(target=self._work, name="courier", daemon=True).start()

    def take(self, delivery: Delivery) -> None:
        """Take a delivery on its way; when too many wait already, it is lost."""
        if not self._waiting.full():
            self._waiting.put_nowait(delivery)

    def _work(self) -> None:
        while True:
            delivery = self._waiting.get()
            for attempt in range(_ATTEMPTS):
                if self._posted(delivery):
                    break
                time.sleep(2**attempt)

    def _posted(self, delivery: Delivery) -> bool:
        name = _CONNECTIONS.get(delivery.provider, delivery.provider)
        request = urllib.request.Request(
            f"{self._base}/{name}", data=delivery.body, headers=delivery.headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=5):
                return True
        except urllib.error.HTTPError as error:
            # A plain no is an answer; only a server that failed is asked again.
            return error.code < 500
        except OSError:
            return False
