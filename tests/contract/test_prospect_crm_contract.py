from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import SecretStr

from sync_engine.adapters.base import Surroundings
from sync_engine.adapters.prospect_crm.adapter import ProspectCrmAdapter, build
from sync_engine.adapters.prospect_crm.settings import ProspectCrmSettings
from sync_engine.core.meeting import Field, Participant, Value, participants
from sync_engine.core.ports import Adapter, Observation
from sync_engine.sandbox.prospect_crm import ProspectCrmSandbox
from sync_engine.sandbox.server import ProviderSandbox
from tests.contract.bench import GUEST, START, TITLE, Bench
from tests.contract.contract import AdapterContract

OWNER, OTHER_OWNER = "recruiter@acme.example", "second.recruiter@acme.example"


class TestProspectCrmContract(AdapterContract):
    crowd = 201  # a page holds 200
    list_path = "/v2/meetings"
    notes: Literal["internal", "description"] = "internal"

    def sandbox_of(self, world: Any) -> ProviderSandbox:
        sandbox: ProviderSandbox = world.prospect_crm
        return sandbox

    def crm(self, world: Any) -> ProspectCrmSandbox:
        sandbox: ProspectCrmSandbox = world.prospect_crm
        return sandbox

    def prepare_world(self, world: Any) -> None:
        crm = self.crm(world)
        # Real time does not pass while the world's clock stands, so the windows would stay spent.
        crm.rate_limits = False
        self.owner = crm.add_user("Rita Recruiter", OWNER)
        self.other_owner = crm.add_user("Sam Recruiter", OTHER_OWNER)
        self.prospect = crm.add_prospect(TITLE, "Doe", GUEST)

    def build(
        self,
        world: Any,
        around: Surroundings,
        *,
        wrong_credentials: bool = False,
        base_url: str | None = None,
    ) -> Adapter:
        crm = self.crm(world)
        adapter: ProspectCrmAdapter = build(
            ProspectCrmSettings(
                base_url=base_url or crm.url,
                api_key=SecretStr("wrong" if wrong_credentials else crm.token),
                owner_map={OWNER: self.owner, OTHER_OWNER: self.other_owner},
                default_owner_id=self.owner,
                notes=self.notes,
                per_minute=60_000,
                per_hour=0,
            ),
            around,
        )
        return adapter

    def secrets(self, world: Any) -> list[str]:
        return [self.crm(world).token]

    def book_by_person(self, world: Any, number: int) -> str:
        return self.crm(world).people.book(
            self.prospect,
            START + timedelta(days=1, hours=number),
            zone="America/New_York",
            kind="Virtual",
            owner_id=self.owner,
            location="Meet at the desk",
            notes=f"{TITLE} met {GUEST} before.",
        )

    def rename_by_person(self, world: Any, external_id: str, title: str) -> bool | None:
        return None

    def describe_by_person(self, world: Any, external_id: str, text: str) -> bool | None:
        if self.notes == "internal":
            return None
        self.crm(world).people.set_notes(external_id, text)
        return True

    def move_by_person(self, world: Any, external_id: str, start: datetime) -> bool | None:
        self.crm(world).people.move(external_id, start)
        return True

    def cancel_by_person(self, world: Any, external_id: str) -> bool | None:
        self.crm(world).people.cancel(external_id)
        return True

    def values_for_create(self, bench: Bench) -> dict[Field, Value]:
        return {
            **super().values_for_create(bench),
            Field.ORGANIZER: OWNER,
            Field.PARTICIPANTS: participants([Participant(GUEST, "Private Guest")]),
        }

    def other_value(self, bench: Bench, name: Field, seen: Observation) -> Value | None:
        return OTHER_OWNER if name is Field.ORGANIZER else super().other_value(bench, name, seen)

    def moves_with(self, name: Field) -> frozenset[Field]:
        return frozenset({Field.TITLE}) if name is Field.KIND else frozenset()


class TestProspectCrmContractOfTheOlderGeneration(TestProspectCrmContract):
    """Flat answers, no idempotency keys, shared notes, and another verb."""

    notes: Literal["internal", "description"] = "description"

    def prepare_world(self, world: Any) -> None:
        super().prepare_world(world)
        crm = self.crm(world)
        crm.generation = "G2"
        crm.update_method = "PUT"
        crm.wrong_verb_status = 404
        crm.bounds_inclusive = False
        crm.soft_delete = True
        crm.delete_status = 204
