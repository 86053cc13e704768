"""Files as they are now, read by nobody in particular: for the look before anything is written."""

from collections.abc import Sequence
from typing import Any

from wiki_sync.config import WikiConfig
from wiki_sync.errors import BadAnswerError
from wiki_sync.session import WikiSession
from wiki_sync.writing import BATCH, LiveFile, live_file, live_params

_FILE = 6  # the number of the wiki's namespace for files


class LiveFiles:
    """Reads what `Writer.live` reads, without an account. Holds no state; may be shared by threads."""

    def __init__(self, config: WikiConfig) -> None:
        self._config = config
        self._session = WikiSession(config)

    def read(self, page_ids: Sequence[int]) -> dict[int, LiveFile]:
        """Return the file pages as they are now, by page id, `BATCH` a call; every id asked for is in the answer.

        Raises as `WikiSession.ask`.
        """
        wanted = list(dict.fromkeys(page_ids))
        found = {page_id: LiveFile(page_id, f"M{page_id}", exists=False) for page_id in wanted}
        for start in range(0, len(wanted), BATCH):
            for page in self._pages(wanted[start : start + BATCH]):
                if page.get("pageid") in found and page.get("ns") == _FILE and not page.get("missing"):
                    found[page["pageid"]] = live_file(self._config, page)
        return found

    def _pages(self, page_ids: Sequence[int]) -> list[dict[str, Any]]:
        pages: dict[Any, dict[str, Any]] = {}
        params, further = live_params(page_ids), dict[str, str]()
        while True:
            answer = self._session.ask(**{**params, **further})
            for page in (answer.get("query") or {}).get("pages") or ():
                pages.setdefault(page.get("pageid"), {}).update(page)
            following = {name: str(value) for name, value in (answer.get("continue") or {}).items()}
            if not following:
                return list(pages.values())
            if following == further:
                raise BadAnswerError("The wiki keeps sending the same page of a list.")
            further = following
