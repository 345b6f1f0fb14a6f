from hypothesis import given
from hypothesis import strategies as st

from bot.llm.capacity import MOST_PARALLEL, choose

GB = 1_000_000_000


@given(
    context=st.integers(64, 200_000),
    parallel=st.integers(0, 64),
    cell_bytes=st.integers(0, 400_000),
    free_bytes=st.none() | st.integers(0, 500 * GB),
)
def test_one_request_always_fits(
    context: int, parallel: int, cell_bytes: int, free_bytes: int | None
) -> None:
    capacity = choose(context=context, parallel=parallel, cell_bytes=cell_bytes, free_bytes=free_bytes)
    assert capacity.cells >= context
    assert capacity.parallel == parallel if parallel else 1 <= capacity.parallel <= MOST_PARALLEL
    if capacity.cells > context and free_bytes is not None:
        assert capacity.cells * cell_bytes <= free_bytes


def test_a_small_model_serves_eight_and_a_large_one_what_memory_allows() -> None:
    assert choose(context=8192, parallel=0, cell_bytes=12_000, free_bytes=8 * GB).parallel == MOST_PARALLEL
    large = choose(context=8192, parallel=0, cell_bytes=131_072, free_bytes=8 * GB)
    assert 1 < large.parallel < MOST_PARALLEL
    assert choose(context=8192, parallel=0, cell_bytes=131_072, free_bytes=2 * GB).parallel == 2
