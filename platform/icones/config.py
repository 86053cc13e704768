"""All settings, read once from the environment (``ICONES_*``) or ``.env`` and passed down; nothing else reads it."""

import base64
import json
import os
import secrets
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from icones import __version__

WDQS = "https://query.wikidata.org/sparql"
QLEVER = "https://qlever.dev/api/wikidata"
WCQS = "https://commons-query.wikimedia.org/sparql"
QLEVER_COMMONS = "https://qlever.dev/api/wikimedia-commons"


class Settings(BaseSettings):
    """The settings of one installation. Each is described in docs/settings.md."""

    model_config = SettingsConfigDict(env_prefix="ICONES_", env_file=".env", frozen=True, extra="ignore")

    mode: Literal["production", "development", "demo"] = "development"
    data_dir: Path = Path("var")
    database_url: str = ""
    base_url: str = "http://127.0.0.1:8000"
    secret_key: SecretStr = SecretStr("")
    contact: str = ""

    commons_api_url: str = "https://commons.wikimedia.org/w/api.php"
    sparql_urls: tuple[str, ...] = (WDQS, QLEVER)
    commons_sparql_urls: tuple[str, ...] = (WCQS, QLEVER_COMMONS)
    wcqs_cookie: SecretStr = SecretStr("")
    image_hosts: tuple[str, ...] = ("upload.wikimedia.org", "commons.wikimedia.org")
    items_api_url: str = ""
    depicts_property: str = "P180"
    box_property: str = "P2677"
    stated_as_property: str = "P5997"
    based_on_property: str = "P887"
    heuristic_item: str = ""
    represents_property: str = "P6243"
    bot_user: str = ""
    bot_password: SecretStr = SecretStr("")
    stop_page: str = "Commons:Icones/stop"
    tool_page: str = "Commons:Icones"
    editgroups: str = "icones"
    person_edits_per_minute: float = Field(default=20.0, gt=0)
    edit_lease_s: float = Field(default=180.0, gt=0)
    edit_tries: int = Field(default=12, ge=1, le=1000)
    languages: tuple[str, ...] = ("en", "nl", "de", "fr")

    gbif_url: str = "https://api.gbif.org/v2/species/match"
    gbif_checklist: str = "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"
    col_url: str = "https://api.checklistbank.org/dataset/3LR/match/nameusage"
    worms_url: str = "https://www.marinespecies.org/rest"
    names_pause_s: float = Field(default=0.2, ge=0)

    oauth_root: str = "https://meta.wikimedia.org/w/rest.php/oauth2"
    oauth_client_id: str = ""
    oauth_client_secret: SecretStr = SecretStr("")
    admins: tuple[str, ...] = ()

    backbone: str = "mobilenet_v3_small"
    backbones: tuple[str, ...] = ()
    weights_dir: Path | None = None
    weights_from_hub: bool = True
    threads: int = Field(default=2, ge=1, le=64)
    shard_figures: int = Field(default=250, ge=1)

    taxa_days: float = Field(default=30.0, ge=0)
    scope_taxa: int = Field(default=20_000, ge=0)
    session_days: int = Field(default=30, ge=1, le=365)
    max_image_bytes: int = Field(default=40_000_000, ge=100_000)
    image_width: int = Field(default=960, ge=250, le=3840)
    image_cache_bytes: int = Field(default=20_000_000_000, ge=0)
    wiki_timeout_s: float = Field(default=30.0, gt=0)
    wiki_retries: int = Field(default=4, ge=0, le=15)
    wiki_retry_wait_s: float = Field(default=1.0, ge=0)
    job_timeout_s: float = Field(default=6 * 3600, gt=0)
    sync_minutes: float = Field(default=60.0, ge=0)
    check_hours: float = Field(default=24.0, gt=0)

    @property
    def database(self) -> str:
        """The database's address: as set, else an SQLite file in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'icones.sqlite'}"

    @property
    def items_api(self) -> str:
        """The API of the wiki that holds the items: as set, else Wikidata for Commons, else the same wiki."""
        host = urlsplit(self.commons_api_url).hostname or ""
        known = {"commons.wikimedia.org": "www.wikidata.org", "test-commons.wikimedia.org": "test.wikidata.org"}
        return self.items_api_url or (f"https://{known[host]}/w/api.php" if host in known else self.commons_api_url)

    @property
    def user_agent(self) -> str:
        """What we call ourselves to Wikimedia, with a contact as their policy asks."""
        return f"Icones/{__version__} ({self.contact or self.base_url})"

    @property
    def is_demo(self) -> bool:
        """Whether one-click sign-in as the demo's three people exists."""
        return self.mode == "demo"

    def prepared(self) -> "Settings":
        """Return these settings with the data folder made and a secret key at hand.

        Outside production a key is made once and kept in the data folder, so that sign-ins outlive a restart.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self.secret_key.get_secret_value() or self.mode == "production":
            return self
        kept = self.data_dir / "secret_key"
        if not kept.exists():
            kept.touch(mode=0o600)
            kept.write_text(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(), encoding="ascii")
        return self.model_copy(update={"secret_key": SecretStr(kept.read_text(encoding="ascii").strip())})

    def as_environment(self) -> dict[str, str]:
        """Return the environment for a child process that shall have these very settings."""
        told = {
            f"ICONES_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in self.model_dump(mode="json", exclude_none=True).items()
        }
        secret = {
            "ICONES_SECRET_KEY": self.secret_key.get_secret_value(),
            "ICONES_OAUTH_CLIENT_SECRET": self.oauth_client_secret.get_secret_value(),
            "ICONES_BOT_PASSWORD": self.bot_password.get_secret_value(),
            "ICONES_WCQS_COOKIE": self.wcqs_cookie.get_secret_value(),
        }
        return os.environ | told | secret

    def unsafe(self) -> list[str]:
        """Return what must be mended before this may serve in production, in words; empty when all is well."""
        problems = []
        host = urlsplit(self.base_url)
        if len(self.secret_key.get_secret_value()) < 32:
            problems.append("ICONES_SECRET_KEY is missing or shorter than 32 characters.")
        if host.scheme != "https":
            problems.append("ICONES_BASE_URL must begin with https://: cookies and sign-in need it.")
        if not self.contact:
            problems.append("ICONES_CONTACT is empty: Wikimedia refuses clients without a contact.")
        if not self.oauth_client_id or not self.oauth_client_secret.get_secret_value():
            problems.append("ICONES_OAUTH_CLIENT_ID and ICONES_OAUTH_CLIENT_SECRET are needed for sign-in.")
        if self.edit_lease_s < 4 * self.wiki_timeout_s:
            problems.append(
                "ICONES_EDIT_LEASE_S must be at least four times ICONES_WIKI_TIMEOUT_S: an edit asks up to four times."
            )
        if urlsplit(self.oauth_root).scheme != "https":
            problems.append("ICONES_OAUTH_ROOT must begin with https://.")
        return problems
