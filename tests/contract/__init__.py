import pytest

for room in ("bench", "side", "listing_laws", "writing_laws", "bad_day_laws"):
    pytest.register_assert_rewrite(f"tests.contract.{room}")
