from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bot.llm.text import TextDecoder


def _fed(data: bytes, cuts: list[int], stop: tuple[str, ...] = ()) -> tuple[str, bool]:
    decoder = TextDecoder(stop)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    out = "".join(decoder.feed(data[a:b]) for a, b in pairwise(edges))
    return out + decoder.end(), decoder.stopped


@given(st.text(), st.lists(st.integers(0, 100)))
def test_no_character_is_lost_or_broken(text: str, cuts: list[int]) -> None:
    assert _fed(text.encode(), cuts) == (text, False)


@given(
    st.text("ab"), st.lists(st.integers(0, 20)), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3)
)
def test_text_ends_before_the_first_stop_string(text: str, cuts: list[int], stop: list[str]) -> None:
    out, stopped = _fed(text.encode(), cuts, tuple(stop))
    assert stopped == any(s in text for s in stop)
    assert text.startswith(out)
    assert not any(s in out for s in stop)
    if not stopped:
        assert out == text


def test_an_incomplete_character_at_the_end_is_dropped() -> None:
    assert _fed("né".encode()[:-1], []) == ("n", False)


def test_what_may_begin_a_stop_string_waits() -> None:
    decoder = TextDecoder(["\n\nUser:"])
    assert decoder.feed(b"yes\n") == "yes"
    assert decoder.feed(b"no") == "\nno"
