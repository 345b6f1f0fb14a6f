import json

import pytest

from knowledge.formats.converted import ConversionError
from knowledge.formats.notebook import convert

CELLS = [
    {"cell_type": "markdown", "source": ["# Study\n", "Text"]},
    {"cell_type": "code", "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1\n"]}]},
    {"cell_type": "code", "source": "", "outputs": [{"data": {"image/png": "..."}}]},
]


def test_cells() -> None:
    about = {"title": "A study", "authors": [{"name": "Ada"}], "kernelspec": {"language": "julia"}}
    page = convert(json.dumps({"cells": CELLS, "metadata": about}).encode(), suffix=".ipynb")
    assert page.text == "# Study\nText\n\n```julia\nprint(1)\n```\n\n```text\n1\n```"
    assert (page.title, page.metadata) == ("A study", {"author": "Ada"})


@pytest.mark.parametrize(
    "data", [b"{]", b"[]", b'{"cells": 3}', b'{"cells": [[]]}', b'{"cells": [], "metadata": 3}']
)
def test_damaged_notebooks(data: bytes) -> None:
    with pytest.raises(ConversionError, match="the notebook is no valid JSON of format 4; save it again"):
        convert(data, suffix=".ipynb")
