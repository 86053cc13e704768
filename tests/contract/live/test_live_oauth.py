"""A person's tokens at a wiki's OAuth: they are renewed, and the old ones die."""

from datetime import UTC, datetime

import pytest

from tests.support.real_wiki import Wiki
from tests.support.real_wiki import variables as names
from tests.support.real_wiki.hand import AGENT
from wiki_sync import GrantEndedError, PersonWire, QueryRefusedError, SignedOutError, Tokens, Writer, refresh_tokens

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def account(wiki: Wiki, access_token: str) -> str:
    with PersonWire(wiki.config(), access_token) as wire:
        return Writer(wiki.config(), wire).account


def renewed(wiki: Wiki, refresh_token: str, secret: str = "") -> Tokens:
    root, client_id, own = wiki.variables.need(names.OAUTH_ROOT, names.CLIENT_ID, names.CLIENT_SECRET)
    return refresh_tokens(root, client_id, secret or own, refresh_token, AGENT, 60, NOW)


def test_new_tokens_work_and_the_old_ones_die(wiki: Wiki) -> None:
    """Twice, as the tokens that were given may not be of one pair."""
    pair = wiki.person.to_exchange()
    name = account(wiki, pair.access)
    for _ in range(2):
        old = wiki.person.to_exchange()
        fresh = renewed(wiki, old.refresh)
        wiki.person.exchange(fresh.access_token, fresh.refresh_token or "")
        assert fresh.refresh_token not in (None, old.refresh)
        assert fresh.expires_at > NOW
        assert account(wiki, fresh.access_token) == name
    with pytest.raises(SignedOutError):
        account(wiki, old.access)


def test_a_refresh_token_that_never_was_one_has_ended(wiki: Wiki) -> None:
    with pytest.raises(GrantEndedError):
        renewed(wiki, "not-a-token")


def test_a_wrong_secret_is_ours_to_mend(wiki: Wiki) -> None:
    with pytest.raises(QueryRefusedError, match="operator"):
        renewed(wiki, "not-a-token", secret="wrong")
