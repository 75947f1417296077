"""Settle one field over all connections: whose change becomes the canonical value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sync_engine.core.capabilities import FieldCapability
from sync_engine.core.fields import apply_edit, completes, digest, is_empty, is_invitation, merge, same
from sync_engine.core.meeting import Field, Meeting, Provenance, Value
from sync_engine.core.plan import Entry, EntryKind, Question
from sync_engine.core.policy import Candidate, Policy
from sync_engine.core.ports import Observation
from sync_engine.core.projection import project
from sync_engine.core.refs import Agreed, Origin, Ref


class Standing(StrEnum):
    """How a side's shown value relates to what was agreed with it."""

    NOT_SHOWN = "not_shown"
    QUIET = "quiet"
    AGREEING = "agreeing"
    EDITED = "edited"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class Side:
    """One connection's part in settling one field.

    ``we_changed``: the canonical value changed since it was last agreed with this side. ``alone``: what
    this side would show if its change were the only one.
    """

    field: Field
    ref: Ref
    capability: FieldCapability
    standing: Standing
    seen: Value | None
    agreed: Agreed | None
    we_changed: bool
    observation: Observation | None
    invented: bool = False
    alone: Value | None = None

    @property
    def connection(self) -> str:
        """Name the connection."""
        return self.ref.connection

    @property
    def before(self) -> Value | None:
        """Give what this side showed when it was last at rest."""
        return self.agreed.theirs if self.agreed else None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The new canonical value of a field and who lost. ``ask``: leave both values, a person decides."""

    value: Value | None
    provenance: Provenance | None
    losers: frozenset[str] = frozenset()
    entries: tuple[Entry, ...] = ()
    questions: tuple[Question, ...] = ()


def stand(
    meeting: Meeting,
    name: Field,
    capability: FieldCapability,
    ref: Ref,
    observation: Observation | None,
) -> Side:
    """Compare what one side shows of a field with what was agreed and with what it should show."""
    agreed = ref.agreement.get(name)
    invented = observation is not None and name in observation.derived
    seen = observation.values.get(name) if observation and (capability.readable or invented) else None
    before = agreed.theirs if agreed else None
    wanted = project(meeting, name, capability, seen if seen is not None else before)
    held = ref.held.get(name)
    # A value held here was at rest on both sides: who now edits the held field edits it like any other.
    at_rest = held is not None and wanted is not None and held.digest == digest(wanted)
    we_changed = agreed is not None and wanted is not None and not same(wanted, agreed.ours) and not at_rest
    if seen is None:
        standing = Standing.NOT_SHOWN
    elif wanted is not None and same(seen, wanted) and (agreed or not completes(wanted, seen)):
        standing = Standing.AGREEING
    elif agreed is None or agreed.theirs is None:
        standing = Standing.FIRST
    elif same(seen, agreed.theirs):
        standing = Standing.QUIET
    else:
        standing = Standing.EDITED
    alone = None
    if seen is not None and standing in {Standing.EDITED, Standing.FIRST}:
        # Where a value of ours is held, what they show is behind ours by more than their own change.
        current = meeting.values.get(name) if standing is Standing.EDITED and held is None else None
        alone = capability.normalise(apply_edit(name, current, before, seen))
    return Side(name, ref, capability, standing, seen, agreed, we_changed, observation, invented, alone)


def settle_field(
    meeting: Meeting, name: Field, sides: Sequence[Side], policy: Policy, revision: int
) -> Settlement:
    """Settle one field over all sides that show it.

    Frozen fields take no part. The order of ``sides`` does not matter.
    """
    open_sides = [side for side in sides if name not in side.ref.frozen]
    edits = [s for s in open_sides if s.standing is Standing.EDITED and not s.invented]
    newcomers = [s for s in open_sides if s.standing is Standing.FIRST]
    settled = _at_rest(meeting, name)
    if edits:
        settled = _settle_edits(meeting, name, edits, open_sides, policy, revision)
    if newcomers:
        settled = _join(settled, _settle_newcomers(settled, name, newcomers, policy, revision, open_sides))
    return settled


def _at_rest(meeting: Meeting, name: Field) -> Settlement:
    return Settlement(meeting.values.get(name), meeting.provenance.get(name))


def _join(first: Settlement, second: Settlement) -> Settlement:
    return Settlement(
        second.value,
        second.provenance,
        first.losers | second.losers,
        first.entries + second.entries,
        first.questions + second.questions,
    )


def _provenance(side: Side, name: Field, revision: int) -> Provenance:
    assert side.observation is not None
    return Provenance(
        side.connection,
        side.observation.observed_at,
        revision,
        derived=side.invented,
        machine=name in side.observation.machine,
    )


def _issuer(sides: Sequence[Side], policy: Policy) -> Side | None:
    issuing = [s for s in sides if s.capability.issued]
    issuers = [s for s in issuing if not is_empty(s.before if s.seen is None else s.seen)]
    return min(issuers, key=lambda s: policy.rank(s.connection), default=None)


def _settle_edits(
    meeting: Meeting,
    name: Field,
    edits: Sequence[Side],
    sides: Sequence[Side],
    policy: Policy,
    revision: int,
) -> Settlement:
    current, source = meeting.values.get(name), meeting.provenance.get(name)
    issuer = _issuer(sides, policy)
    contested = current is not None and (
        any(s.we_changed for s in edits) or (issuer is not None and issuer not in edits)
    )
    if len(edits) == 1 and not contested:
        return _take(name, current, edits[0], revision)
    by_name = {s.connection: s for s in edits}
    candidates = [_candidate(name, current, side) for side in edits]
    # Where the canonical value's own source has since edited it, that edit stands for both.
    superseded = (
        source is not None and source.connection in by_name and not by_name[source.connection].we_changed
    )
    if contested and current is not None and not superseded:
        candidates.append(_canonical_candidate(current, source, issuer if issuer not in edits else None))
    ranked = policy.order(name, candidates, issuer=issuer.connection if issuer else None)
    merged = _merge_all(name, current, ranked, by_name)
    if merged is not None:
        best = next((by_name[c.connection] for c in ranked if c.connection in by_name), edits[0])
        entries = tuple(_changed(name, s, current, merged) for s in edits)
        return Settlement(merged, _provenance(best, name, revision), entries=entries)
    return _decide(meeting, name, ranked, by_name, policy, revision, issuer.connection if issuer else None)


def _take(name: Field, current: Value | None, side: Side, revision: int) -> Settlement:
    assert side.seen is not None
    value = apply_edit(name, current, side.before, side.seen)
    entry = _changed(name, side, current, value)
    return Settlement(value, _provenance(side, name, revision), entries=(entry,))


def _changed(name: Field, side: Side, before: Value | None, after: Value) -> Entry:
    return Entry(EntryKind.CHANGED, side.connection, "edited there", name, before, after)


def _candidate(name: Field, current: Value | None, side: Side) -> Candidate:
    assert side.seen is not None
    assert side.observation is not None
    value = apply_edit(name, current, side.before, side.seen) if name is Field.SCHEDULE else side.seen
    return Candidate(side.connection, value, machine=name in side.observation.machine)


def _canonical_candidate(current: Value, source: Provenance | None, issuer: Side | None) -> Candidate:
    if issuer is not None:
        return Candidate(issuer.connection, current)
    if source is None:
        return Candidate("", current, machine=True, derived=True)
    return Candidate(source.connection, current, machine=source.machine, derived=source.derived)


def _merge_all(
    name: Field, current: Value | None, ranked: Sequence[Candidate], edits: dict[str, Side]
) -> Value | None:
    """Merge all changes that do not contradict each other; lower ranks go first where the later one wins."""
    order = list(ranked) if name is Field.DESCRIPTION else list(reversed(ranked))
    value = current
    for candidate in order:
        side = edits.get(candidate.connection)
        if side is None or side.seen is None:
            continue
        merged = merge(name, side.before, value, side.seen)
        if merged is None:
            if value is not None and same(side.seen, value):
                continue
            return None
        value = merged
    return value


def _decide(
    meeting: Meeting,
    name: Field,
    ranked: Sequence[Candidate],
    edits: dict[str, Side],
    policy: Policy,
    revision: int,
    issuer: str | None,
) -> Settlement:
    """Let the policy decide a true conflict; every value that is not the winner's goes into the journal."""
    current, source = meeting.values.get(name), meeting.provenance.get(name)
    winner, rest = ranked[0], ranked[1:]
    losers = [c for c in rest if not _says_the_same(meeting, name, winner, c, edits)]
    if losers and name in policy.ask:
        questions = tuple(
            Question(connection, name, current, side.seen) for connection, side in sorted(edits.items())
        )
        entries = tuple(
            Entry(EntryKind.ASKED, q.connection, "waits for a person", name, q.ours, q.theirs)
            for q in questions
        )
        return Settlement(current, source, entries=entries, questions=questions)
    side = edits.get(winner.connection)
    won_by_edit = side is not None and side.seen is not None and winner.value != current
    provenance = _provenance(side, name, revision) if won_by_edit and side else source
    entries = tuple(
        Entry(
            EntryKind.CONFLICT,
            c.connection,
            f"lost to {winner.connection}: {policy.why(name, winner, c, issuer=issuer)}",
            name,
            c.value,
            winner.value,
        )
        for c in losers
    )
    if won_by_edit and side:
        entries += (_changed(name, side, current, winner.value),)
    lost_edits = frozenset(c.connection for c in losers if c.connection in edits)
    return Settlement(winner.value, provenance, lost_edits, entries)


def _says_the_same(
    meeting: Meeting, name: Field, winner: Candidate, other: Candidate, edits: dict[str, Side]
) -> bool:
    """Tell whether a candidate only is the winner's value as its own side can show it."""
    if same(winner.value, other.value):
        return True
    side = edits.get(other.connection)
    if side is None:
        return False
    would_be = replace(meeting, values={**meeting.values, name: winner.value})
    return same(project(would_be, name, side.capability, side.seen), side.seen)


def _settle_newcomers(
    settled: Settlement,
    name: Field,
    newcomers: Sequence[Side],
    policy: Policy,
    revision: int,
    sides: Sequence[Side],
) -> Settlement:
    """Settle the first contact with a side's field: nobody edited anything, two pasts meet.

    One side empty or invented → the other; both set → sets unite, else precedence, journalled.
    """
    issuer = _issuer(sides, policy)
    settled = Settlement(settled.value, settled.provenance)
    for side in sorted(newcomers, key=lambda s: (s.invented, policy.rank(s.connection))):
        settled = _join(settled, _meet(name, settled, side, policy, revision, issuer))
    return settled


def _meet(
    name: Field, so_far: Settlement, side: Side, policy: Policy, revision: int, issuer: Side | None
) -> Settlement:
    assert side.seen is not None
    current, source = so_far.value, so_far.provenance
    theirs = Settlement(side.seen, _provenance(side, name, revision))
    if current is not None and side.ref.origin is Origin.FOUND and is_invitation(name, side.seen):
        return Settlement(current, source)
    if is_empty(current):
        return Settlement(current, source) if is_empty(side.seen) and current is not None else theirs
    if is_empty(side.seen) or side.invented:
        return Settlement(current, source)
    if source is not None and source.derived:
        return theirs
    if name is Field.PARTICIPANTS and current is not None:
        united = apply_edit(name, current, (), side.seen)
        return Settlement(united, source if united == current else theirs.provenance)
    if current is not None and same(current, side.seen):
        completed = apply_edit(name, current, None, side.seen)
        return Settlement(completed, source if completed == current else theirs.provenance)
    assert current is not None
    known = _canonical_candidate(current, source, None)
    new = Candidate(side.connection, side.seen, machine=bool(theirs.provenance and theirs.provenance.machine))
    winner, loser = policy.order(name, [known, new], issuer=issuer.connection if issuer else None)
    cause = f"first contact: {policy.why(name, winner, loser, issuer=issuer.connection if issuer else None)}"
    entry = Entry(EntryKind.FIRST_LINK, loser.connection, cause, name, loser.value, winner.value)
    if winner is known:
        return Settlement(current, source, entries=(entry,), losers=frozenset({side.connection}))
    return Settlement(theirs.value, theirs.provenance, entries=(entry,))
