"""Every queue is worked on, and every process is started by a command that exists."""

from __future__ import annotations

import re
import shlex
from collections import Counter

import pytest
import typer.main

from sync_engine.cli.app import app
from tests.unit.deploy.files import KUBERNETES, SYSTEMD, Tree, load, resources, text, unit, variables
from workers.app import KEY_PREFIX, QUEUES

GROUPS = ("webhooks", "reconcile", "push", "pull")
PROCESSES = {"web": "serve", "beat": "beat", "flower": "flower"}


def _compose_commands() -> dict[str, list[str]]:
    services: Tree = load("compose.yaml")["services"]
    found = {name: [str(word) for word in each.get("command", [])] for name, each in services.items()}
    (flower,) = re.findall(r"exec sync-engine (.*)", services["flower"]["entrypoint"][-1])
    return {**found, "flower": flower.split()}


def _kubernetes_commands() -> dict[str, list[str]]:
    found = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]["containers"][0]["args"]
        for each in (*resources("Deployment"), *resources("Job"))
    }
    del found["worker"]  # a form that the folders of the groups fill in
    for group in GROUPS:
        (patch,) = load(f"kubernetes/base/workers/{group}/kustomization.yaml")["patches"]
        words = re.search(r"value: \[(worker.*)\]", patch["patch"])
        assert words, f"the worker of {group} has no command"
        found[f"worker-{group}"] = [word.strip(' "') for word in re.split(r", (?=[^,])", words[1])]
    return found


def _systemd_commands() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in SYSTEMD.glob("*.service"):
        (command,) = unit(path.name)["Service.ExecStart"]
        name = path.stem.removeprefix("sync-engine-")
        if not name.endswith("@"):
            found[name] = shlex.split(command)[1:]
            continue
        for group in GROUPS:
            settings = variables(SYSTEMD / f"worker-{group}")
            filled = command.replace("%i", group)
            for key, value in settings.items():
                filled = filled.replace(f"${{{key}}}", value)
            found[f"worker-{group}"] = shlex.split(filled)[1:]
    return found


WAYS = {"compose": _compose_commands(), "kubernetes": _kubernetes_commands(), "systemd": _systemd_commands()}
OURS = [
    pytest.param(command, id=f"{way}-{name}")
    for way, commands in WAYS.items()
    for name, command in commands.items()
    if name in {*PROCESSES, "migrate", "embedded"} or name.startswith("worker")
]


def _queues(commands: dict[str, list[str]]) -> Counter[str]:
    workers = [command for command in commands.values() if command[:1] == ["worker"]]
    return Counter(
        queue for command in workers for queue in command[command.index("--queues") + 1].split(",")
    )


@pytest.mark.parametrize("way", WAYS)
def test_every_queue_has_exactly_one_group_of_workers(way: str) -> None:
    served = _queues(WAYS[way])

    assert served == Counter(QUEUES)


@pytest.mark.parametrize("way", WAYS)
def test_there_are_a_web_process_a_beat_and_a_flower(way: str) -> None:
    commands = WAYS[way]

    assert {name: commands[name][0] for name in PROCESSES} == PROCESSES


@pytest.mark.parametrize("command", OURS)
def test_every_command_exists_with_its_options(command: list[str]) -> None:
    known = typer.main.get_command(app)
    words = list(command)

    while hasattr(known, "commands"):
        known = known.commands[words.pop(0)]

    accepted = {option for each in known.params for option in each.opts}
    assert {word for word in words if word.startswith("--")} <= accepted


@pytest.mark.parametrize("way", ["compose", "systemd"])
def test_the_database_is_migrated_before_anything_starts(way: str) -> None:
    assert WAYS[way]["migrate"] == ["db", "upgrade"]

    if way == "compose":
        services = load("compose.yaml")["services"]
        after = {name for name, each in services.items() if "migrate" in each.get("depends_on", {})}
        assert after == {*PROCESSES, *(f"worker-{group}" for group in GROUPS)}
        assert services["web"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    else:
        for name in ("web", "worker@", "beat", "flower"):
            found = unit(f"sync-engine-{name}.service")
            assert "sync-engine-migrate.service" in found["Unit.After"][0].split()
            assert "sync-engine-migrate.service" in found["Unit.Wants"][0].split()


def test_pods_wait_for_the_migration_and_their_release_does_not_hold_it() -> None:
    waiting = {
        each["metadata"]["name"]
        for each in resources("Deployment")
        for first in each["spec"]["template"]["spec"].get("initContainers", [])
        if "sync-engine db current" in " ".join(first["command"])
    }

    assert waiting == {"web", "worker"}
    assert load("kubernetes/migrate/job.yaml")["spec"]["template"]["spec"]["containers"][0]["args"] == [
        "db",
        "upgrade",
    ]
    assert "migrate" not in text("kubernetes/base/kustomization.yaml")


def test_the_target_wants_a_worker_of_every_group() -> None:
    wanted = " ".join(unit("sync-engine.target")["Unit.Wants"]).split()

    assert {each for each in wanted if "@" in each} == {
        f"sync-engine-worker@{group}.service" for group in GROUPS
    }


def test_scaling_looks_at_the_queue_its_workers_serve() -> None:
    commands = WAYS["kubernetes"]
    scaled = resources("ScaledObject")

    for each in scaled:
        (trigger,) = each["spec"]["triggers"]
        queue = trigger["metadata"]["listName"].removeprefix(KEY_PREFIX)
        served = commands[each["spec"]["scaleTargetRef"]["name"]]
        assert trigger["metadata"]["listName"] == KEY_PREFIX + queue
        assert queue in served[served.index("--queues") + 1].split(",")
        assert each["spec"]["minReplicaCount"] >= 1
    assert {each["spec"]["scaleTargetRef"]["name"] for each in scaled} == {
        f"worker-{group}" for group in GROUPS
    }


def test_what_keda_reads_are_fields_it_knows() -> None:
    known = {
        "scaleTargetRef",
        "minReplicaCount",
        "maxReplicaCount",
        "pollingInterval",
        "cooldownPeriod",
        "fallback",
        "triggers",
    }

    for each in resources("ScaledObject"):
        assert set(each["spec"]) <= known
        assert set(each["spec"]["fallback"]) == {"failureThreshold", "replicas"}
        for trigger in each["spec"]["triggers"]:
            assert set(trigger) == {"type", "metadata", "authenticationRef"}
            assert all(isinstance(value, str) for value in trigger["metadata"].values())


def test_there_is_one_beat_and_the_old_one_goes_first() -> None:
    (beat,) = [each for each in resources("Deployment") if each["metadata"]["name"] == "beat"]

    assert beat["spec"]["replicas"] == 1
    assert beat["spec"]["strategy"] == {"type": "Recreate"}


def test_everything_kustomize_names_exists() -> None:
    for path in KUBERNETES.rglob("kustomization.yaml"):
        found = load(str(path.relative_to(KUBERNETES.parent)))
        named = [*found.get("resources", []), *found.get("components", [])]
        for generator in found.get("configMapGenerator", []):
            named += [
                each.rpartition("=")[2] for each in (*generator.get("files", []), *generator.get("envs", []))
            ]
        assert [each for each in named if not (path.parent / each).exists()] == []
