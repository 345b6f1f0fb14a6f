import pytest

from bot.llm.pace import SLICE_SECONDS, SLICE_UNIT, Pace


def _measured(*, base: float, row: float, widths: tuple[int, ...]) -> Pace:
    pace = Pace()
    for _ in range(100):
        for width in widths:
            pace.wrote(rows=width, seconds=base + row * width)
    return pace


@pytest.mark.parametrize(("base", "row"), [(0.010, 0.001), (0.020, 0.015), (0.001, 0.010)])
def test_the_price_of_a_row_is_learnt_from_steps_of_different_width(base: float, row: float) -> None:
    pace = _measured(base=base, row=row, widths=(1, 3, 5))
    for width in (1, 4, 8):
        assert pace.price(width) == pytest.approx(row * width / (base + row * width), abs=0.02)


def test_guessing_gets_dearer_the_more_answers_are_written() -> None:
    pace = Pace()
    prices = [pace.price(width) for width in range(1, 9)]
    assert prices == sorted(prices)
    assert 0 < prices[0] < prices[-1] < 1


def test_steps_of_equal_width_teach_nothing_about_rows() -> None:
    assert _measured(base=0.02, row=0.001, widths=(1,)).price(1) == Pace().price(1)


def test_what_was_learnt_gets_old() -> None:
    pace = _measured(base=0.001, row=0.02, widths=(1, 4))
    dear = pace.price(1)
    for _ in range(300):
        pace.wrote(rows=1, seconds=0.021)
    assert pace.price(1) < dear / 2


def test_one_long_pause_changes_little() -> None:
    pace = _measured(base=0.02, row=0.01, widths=(1, 4))
    before = pace.price(2)
    pace.wrote(rows=1, seconds=30.0)
    assert pace.price(2) == pytest.approx(before, abs=0.15)


@pytest.mark.parametrize("speed", [30, 150, 400, 5000])
def test_a_slice_takes_about_as_long_as_an_answer_may_stand_still(speed: int) -> None:
    pace = Pace()
    for _ in range(20):
        pace.read(tokens=256, seconds=256 / speed, beside=True)
    tokens = pace.slice_tokens(512, beside=True)
    assert tokens % SLICE_UNIT == 0
    assert SLICE_UNIT <= tokens <= 512
    if SLICE_UNIT < tokens < 512:
        assert tokens / speed <= SLICE_SECONDS < (tokens + SLICE_UNIT) / speed


def test_a_step_in_which_nobody_writes_is_bounded_too() -> None:
    pace = Pace()
    assert pace.slice_tokens(512, beside=False) == 2 * SLICE_UNIT  # nothing was measured yet
    pace.read(tokens=128, seconds=32.0, beside=False)
    assert pace.slice_tokens(512, beside=False) == SLICE_UNIT
    pace = Pace()
    pace.read(tokens=128, seconds=128 / 30, beside=False)
    assert pace.slice_tokens(512, beside=False) == 256
    pace.read(tokens=128, seconds=0.01, beside=False)
    assert pace.slice_tokens(200, beside=False) == 200


def test_a_long_step_in_which_nobody_writes_says_nothing_about_slices_beside_answers() -> None:
    pace = Pace()
    for _ in range(20):
        pace.read(tokens=512, seconds=1.0, beside=False)
    assert pace.slice_tokens(512, beside=True) == SLICE_UNIT  # tried small first
    pace.read(tokens=64, seconds=0.5, beside=True)
    assert pace.slice_tokens(512, beside=True) == 2 * SLICE_UNIT
    assert pace.slice_tokens(512, beside=False) == 512
