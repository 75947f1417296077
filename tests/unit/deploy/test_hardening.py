"""Nothing is open that need not be, nothing runs with rights it does not use."""

from __future__ import annotations

import re

import pytest

from tests.unit.deploy.files import SYSTEMD, Tree, load, resources, text, unit

SERVICES: dict[str, Tree] = load("compose.yaml")["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"].startswith("${SYNC_ENGINE_IMAGE")}
PODS = [*resources("Deployment"), *resources("Job")]
UNITS = sorted(path.name for path in SYSTEMD.glob("*.service"))
LOCKS = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictNamespaces": "yes",
    "MemoryDenyWriteExecute": "yes",
    "UMask": "0077",
}


def _containers(resource: Tree) -> list[Tree]:
    pod = resource["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def test_every_image_has_a_version() -> None:
    images = [each["image"] for each in SERVICES.values()]
    tags = [re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", image).partition(":")[2] for image in images]
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", text("Containerfile"), re.MULTILINE)
    (own,) = load("kubernetes/overlays/example/settings/kustomization.yaml")["images"]

    assert all(re.match(r"v?\d", str(tag)) for tag in [*tags, base.partition(":")[2], own["newTag"]])


def test_ports_are_open_on_this_machine_only() -> None:
    ports = [port for each in SERVICES.values() for port in each.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_rights_and_nothing_to_write_to(name: str) -> None:
    service = OURS[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(volume.endswith(":ro") or not volume.startswith(".") for volume in service["volumes"])


def test_the_stores_are_reached_from_inside_only() -> None:
    networks = load("compose.yaml")["networks"]

    assert networks["inside"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["inside"]
        assert "ports" not in SERVICES[name]


def test_redis_keeps_what_it_was_given() -> None:
    command = SERVICES["redis"]["command"]
    options = dict(zip(command[2::2], command[3::2], strict=True))

    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"


def test_the_image_runs_as_a_user_that_is_a_number() -> None:
    stages = text("Containerfile").split("\nFROM ")
    users = re.findall(r"^USER (.*)$", stages[-1], re.MULTILINE)

    assert users == ["10001:10001"]
    assert "HEALTHCHECK" in stages[-1]
    assert "constraint constraints.txt" in stages[1]


def test_the_image_is_made_of_named_files_only() -> None:
    ignored = text("Containerfile.dockerignore").split("\n")
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {
        word.removeprefix("./")
        for line in re.findall(r"^COPY (?!--from)(.*)$", text("Containerfile"), re.MULTILINE)
        for word in line.split()[:-1]
        if not word.startswith("--")
    }

    assert "**" in ignored
    assert copied == allowed


@pytest.mark.parametrize("resource", PODS, ids=lambda each: each["metadata"]["name"])
def test_a_pod_passes_the_restricted_standard(resource: Tree) -> None:
    pod = resource["spec"]["template"]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in _containers(resource):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= container["resources"].keys()
        assert container["image"] == "sync-engine"


def test_everything_is_closed_that_no_policy_opens() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in resources("NetworkPolicy")}
    called = [each for each in resources("Deployment") if "sync-engine/calls-providers" in str(each)]

    assert policies["closed-by-default"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert [each["metadata"]["name"] for each in called] == ["worker"]
    outside = policies["providers"]["egress"][0]["to"][0]["ipBlock"]
    assert {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"} <= set(outside["except"])


def test_only_webhooks_are_open_to_the_world() -> None:
    (ingress,) = resources("Ingress")
    paths = [path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]

    assert paths == ["/webhooks"]
    assert all(each["spec"]["type"] == "ClusterIP" for each in resources("Service"))


def test_a_disruption_takes_one_pod_at_a_time() -> None:
    budgets = {each["metadata"]["name"]: each["spec"] for each in resources("PodDisruptionBudget")}

    assert budgets.keys() == {"web", "worker"}
    assert budgets["web"]["minAvailable"] == 1
    assert budgets["worker"]["maxUnavailable"] == 1


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_is_locked_in_alike(name: str) -> None:
    found = unit(name)

    assert {key: found[f"Service.{key}"][-1] for key in LOCKS} == LOCKS
    assert found["Service.User"] == ["sync-engine"]
    assert found["Service.SystemCallFilter"] == ["@system-service", "~@privileged"]


def test_units_listen_on_this_machine_only() -> None:
    listening = [word for name in UNITS for word in unit(name)["Service.ExecStart"][0].split()]

    hosts = {listening[index + 1] for index, word in enumerate(listening) if word in {"--host", "--address"}}

    assert hosts == {"127.0.0.1"}
