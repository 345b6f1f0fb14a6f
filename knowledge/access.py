"""Who may see what, decided in one place and before anything is searched.

A source lists principals (`everyone`, `slack:T1`, `slack:C42`, `discord:role:7`, …). A message carries the
principals of the place where its reply will be seen. A source may be used only where the two meet. `everyone` is
everyone of the team: a place that outsiders can read does not have it.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

EVERYONE = "everyone"


def visible_sources(
    visible_to: Mapping[str, AbstractSet[str]],
    principals: AbstractSet[str],
) -> frozenset[str]:
    """Names of the sources whose principals meet those of the place.

    A place without `everyone`, such as a channel shared with another company, sees only what names it.
    """
    # A copy, because the sources of a running assistant may be changed from another thread meanwhile.
    sources = dict(visible_to).items()
    return frozenset(name for name, allowed in sources if not principals.isdisjoint(allowed))
