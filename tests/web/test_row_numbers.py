"""Numbers in addresses that no row can have: they are refused in words, on both databases."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from icones.models import Campaign, Role
from tests.support.people import csrf_of

Clients = Callable[..., TestClient]
LARGEST = 2**31 - 1
"""The largest number of a row on PostgreSQL; SQLite's go up to 2**63 - 1."""
API, HERE = "/api/v1", "/c/butterflies"
ADDRESSES = (
    "{api}/figures/{n}", "{api}/figures/{n}/similar", "{api}/illustrations/{n}/figures",
    "{api}/campaigns/butterflies/models/{n}", "{api}/campaigns/butterflies/jobs/{n}",
    "{api}/campaigns/butterflies/exports/{n}/content", "{api}/campaigns/butterflies/figures?cursor={n}",
    "{here}/f/{n}", "{here}/f/{n}/similar", "{here}/f/{n}/image", "{here}/i/{n}", "{here}/i/{n}/image",
    "{here}/i/1?figure={n}", "{here}/models/{n}", "{here}/models/{n}/card.md", "{here}/models/{n}/snapshot.json",
    "{here}/jobs/{n}", "{here}/exports/{n}.csv", "{here}/tag?figure={n}", "{here}/review?figure={n}",
)  # fmt: skip


def test_a_number_that_no_row_can_have_is_refused(campaign: Campaign, client_of: Clients) -> None:
    client = client_of(Role.CURATOR)
    for path in ("", "/review", "/names"):
        assert client.get(f"{HERE}{path}?page={10**9}").status_code == 200, path
        assert client.get(f"{HERE}{path}?page={10**30}").status_code == 422, path
    assert client.get(f"{API}/campaigns/butterflies/review?offset={LARGEST + 1}").status_code == 422
    for number, may_be in ((LARGEST, (200, 404)), (LARGEST + 1, (422,)), (2**63, (422,)), (-(10**30), (422,))):
        for address in ADDRESSES:
            answer = client.get(address.format(n=number, api=API, here=HERE))
            assert answer.status_code in may_be, (number, address)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_form_with_such_a_number_is_refused(campaign: Campaign, client_of: Clients) -> None:
    client = client_of(Role.SPECIALIST)
    csrf = csrf_of(client)
    for path, field in (("/tag/undo", "identification"), ("/review/undo", "identification"), ("/clusters/1", "figure")):
        told = {"csrf": csrf, "submission_id": "a" * 32, "n_shown": "1", field: str(2**40)}
        assert client.post(f"{HERE}{path}", data=told).status_code == 422, path
    assert client.post(f"{HERE}/tag/{2**40}", data={"csrf": csrf, "submission_id": "a" * 32}).status_code == 422
