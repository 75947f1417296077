"""The laws every adapter keeps; one suite for all of them."""

from __future__ import annotations

from tests.contract.bad_day_laws import BadDayLaws
from tests.contract.listing_laws import ListingLaws
from tests.contract.writing_laws import WritingLaws


class AdapterContract(ListingLaws, WritingLaws, BadDayLaws):
    """Run the laws against one adapter.

    A provider's test module derives ``class TestZoomContract(AdapterContract)`` and supplies (hooks are
    plain methods, not fixtures; ``world`` is what ``open_world`` gave; every method may use
    ``self.sandbox_of(world)``):

    Required
        ``sandbox_of(world)``            the provider's sandbox, ``world.zoom``
        ``build(world, around, *, wrong_credentials=False, base_url=None)``
                                         a fresh adapter. ``around`` has the clock, a pacer, a vault and a
                                         sleep that moves the world's clock. ``wrong_credentials``: with
                                         credentials the sandbox refuses. ``base_url``: use it instead of the
                                         sandbox's, for API *and* token endpoint (nobody answers there).
        ``secrets(world)``               every secret string that must not leak (keys, tokens, passwords)
        ``book_by_person(world, number)``  a person books meeting ``number`` (0, 1, 2 ...) with
                                         ``bench.TITLE`` and ``bench.GUEST`` in it wherever the provider has
                                         room for a title or a guest; start = START + 1 day + number hours
                                         (or in the past where only that can be written); gives the external
                                         id exactly as the adapter names it. Must be a record that every
                                         updatable field can be updated on.
    Optional (default in brackets)
        ``open_world()``                 [``World(seed=1, start=START)``]: until World is complete, give a
                                         stand-in context manager with ``.clock``, ``.lock``, your sandbox
        ``prepare_world(world)``         [nothing] users, prospects, scopes the other hooks need
        ``rename/describe/move/cancel_by_person(world, external_id, ...)``
                                         return True when done; [None: people cannot do that here]
        ``values_for_create(bench)``     [all fields, two days ahead, or a day ago for ``Creatable.PAST``] raw
                                         canonical values; the suite projects them with the capabilities
        ``particulars_for_create(bench)``  [{}]
        ``other_value(bench, field, seen)``  [a different value per field; None: skip the field]
        ``moves_with(field)``            [none] fields that change by themselves with a written one
        ``crowd`` = 7                    how many records make a listing take two requests or more (make the
                                         sandbox's pages small in ``prepare_world``, or raise this)
        ``list_path`` = ".*"             regular expression of the listing's path at the sandbox
        ``break_row(row)``               [every key but "id" becomes nonsense] break one listed JSON row
        ``settle_time`` = 0              how long a listing may lag behind a write
        ``count_records(world)``         [``sandbox.records()`` that are not deleted]

    Skips follow from ``adapter.capabilities`` and from hooks that give None, never from a provider's name.
    """
