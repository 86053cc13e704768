"""Pure rules about names: how they are folded for search, and how close two are."""

import unicodedata


def folded(name: str) -> str:
    """Return ``name`` as searches compare it: lower case, no accents, letters and digits with single spaces."""
    spread = unicodedata.normalize("NFKD", name.casefold().replace("ſ", "s").replace("æ", "ae").replace("œ", "oe"))
    plain = "".join(" " if not char.isalnum() else char for char in spread if not unicodedata.combining(char))
    return " ".join(plain.split())


def distance(one: str, other: str, limit: int) -> int:
    """Return the Damerau-Levenshtein distance (optimal string alignment), or ``limit + 1`` when it is larger.

    Swapped neighbours count as one slip, as fingers make them. Stops early, so that a long list is quick.
    """
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        after = [i]
        for j, b in enumerate(other, 1):
            cost = min(row[j] + 1, after[j - 1] + 1, row[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            after.append(cost)
        if min(after) > limit:
            return limit + 1
        before, row = row, after
    return row[-1] if row[-1] <= limit else limit + 1


def slips_allowed(query: str) -> int:
    """Return how many slips of the finger a query of this length is forgiven."""
    return 0 if len(query) < 4 else 1 if len(query) < 8 else 2


def closeness(query: str, name: str) -> int | None:
    """Return how well a folded ``name`` answers a folded ``query``: 0 is best, None is no answer.

    0 the same, 1 begins with it, 2 a word begins with it, 3 each word of the query begins a word of the name
    ("q rob" finds Quercus robur), 4 and more: so many slips away, in the whole name, its beginning or a word.
    """
    if name == query:
        return 0
    if name.startswith(query):
        return 1
    words = name.split()
    if any(word.startswith(query) for word in words):
        return 2
    if all(any(word.startswith(part) for word in words) for part in query.split()):
        return 3
    limit = slips_allowed(query)
    if limit == 0:
        return None
    slips = min(distance(query, part, limit) for part in {name, name[: len(query)], *words})
    return 3 + slips if slips <= limit else None
