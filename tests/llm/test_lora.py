from pathlib import Path

import pytest

from bot.errors import SettingsError
from bot.llm.lora import lora_options, parse_lora


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("style.gguf", (Path("/base/style.gguf"), 1.0)),
        ("style.gguf=0.5", (Path("/base/style.gguf"), 0.5)),
        ("/abs/a=b/style.gguf=-1", (Path("/abs/a=b/style.gguf"), -1.0)),
    ],
)
def test_a_path_and_a_scale(text: str, expected: tuple[Path, float]) -> None:
    assert parse_lora(text, base=Path("/base")) == expected
    again = parse_lora(lora_options([expected])[1])
    assert again == expected


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(SettingsError, match=r"style\.gguf=0\.5"):
        parse_lora("style.gguf=strong")
