"""placeholder"""

from collections.abc import Iterable, Sequence


def by_names(found: Iterable[str], order: Sequence[str]) -> list[str]:
    """Those of `order` that were found, in its order."""
    return [name for name in order if name in found]
