"""The pull half done by dlt, beside ours: the same list of the same sandbox into an SQLite file."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sync_engine.services.pull import pull_connection
from sync_engine.services.run import Run
from sync_engine.services.sync import prepare
from tests.benchmarks.engine import bench
from tests.benchmarks.measure import Cost, measured
from tests.benchmarks.worlds import WORKSPACE, ServedWorld, served

PAGE = 200


def is_installed() -> bool:
    """Tell whether dlt can be imported."""
    return importlib.util.find_spec("dlt") is not None


async def compare(number: int) -> dict[str, tuple[Cost, Cost]]:
    """Pull a world's one list twice with each: the first time, and without news."""
    with served("timeline", number) as world:
        ours = await _ours(world)
        theirs = _theirs(world)
    return {"dlt": theirs, "this engine": ours}


async def _ours(world: ServedWorld) -> tuple[Cost, Cost]:
    async with bench(world) as opened:
        channel = opened.tenant.channels["attio"]
        prepare(opened.engine, opened.tenant)
        costs: list[Cost] = []
        for _ in range(2):
            with measured() as cost:
                await pull_connection(opened.engine, opened.tenant, channel, Run(opened.engine.new_id()))
            costs.append(cost)
    return costs[0], costs[1]


def _theirs(world: ServedWorld) -> tuple[Cost, Cost]:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"
    import dlt

    # Its own SQL makes SQLAlchemy warn; that is no matter of ours.
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "meetings",
            pipelines_dir=folder,
            destination=dlt.destinations.sqlalchemy(f"sqlite:///{Path(folder) / 'meetings.db'}"),
            dataset_name="main",
        )
        costs: list[Cost] = []
        for _ in range(2):
            with measured() as cost:
                pipeline.run(_resource(world))
            costs.append(cost)
    return costs[0], costs[1]


def _resource(world: ServedWorld) -> Any:
    import dlt
    from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
    from dlt.sources.helpers.rest_client.client import RESTClient
    from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

    text = world.ask("configuration", {"database": "unused.db"})
    attio = tomllib.loads(text)["workspaces"][WORKSPACE]["connections"]["attio"]
    client = RESTClient(
        base_url=attio["base_url"],
        auth=BearerTokenAuth(attio["access_token"]),
        paginator=JSONResponseCursorPaginator(cursor_path="pagination.next_cursor", cursor_param="cursor"),
    )

    def pages() -> Iterator[Any]:
        for page in client.paginate("/v2/meetings", params={"limit": PAGE, "sort": "start_asc"}):
            yield [{**row, "meeting_id": row["id"]["meeting_id"]} for row in page]

    return dlt.resource(pages, name="meetings", primary_key="meeting_id", write_disposition="merge")
