"""Signing in through the front door, and the token that every form carries."""

import re
import uuid

from starlette.testclient import TestClient

from icones.models import Role


def csrf_of(client: TestClient, path: str = "/sign-in") -> str:
    """Return the token of this browser, as a form of ours carries it."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found, f"no form with a csrf token at {path}"
    return found.group(1)


def sign_in(client: TestClient, role: Role) -> None:
    """Sign in with one click, as the demo allows."""
    answer = client.post("/sign-in/demo", data={"csrf": csrf_of(client), "role": role.value}, follow_redirects=False)
    assert answer.status_code == 303, answer.text


def new_submission() -> str:
    """Return a fresh submission id, as a form makes one."""
    return uuid.uuid4().hex
