"""How the settings become what wiki_sync is told."""

import re

from icones.campaigns.service import DEFAULT_OBJECT_NUMBER
from icones.config import Settings
from wiki_sync import WikiConfig, standard_width


def wiki_config(settings: Settings, object_number_pattern: str = "") -> WikiConfig:
    """Return wiki_sync's configuration for this installation, with a campaign's pattern of object numbers."""
    pattern = object_number_pattern or DEFAULT_OBJECT_NUMBER
    re.compile(pattern)
    return WikiConfig(
        api_url=settings.commons_api_url,
        sparql_urls=settings.sparql_urls,
        commons_sparql_urls=settings.commons_sparql_urls,
        wcqs_cookie=settings.wcqs_cookie.get_secret_value(),
        user_agent=settings.user_agent,
        state_dir=settings.data_dir / "wiki",
        depicts=settings.depicts_property,
        box=settings.box_property or "P2677",
        represents=settings.represents_property or "P6243",
        items_api_url=settings.items_api,
        languages=settings.languages,
        timeout_s=settings.wiki_timeout_s,
        max_retries=settings.wiki_retries,
        retry_wait_s=settings.wiki_retry_wait_s,
        image_hosts=settings.image_hosts,
        max_image_bytes=settings.max_image_bytes,
        thumb_width=standard_width(settings.image_width),
        object_number_pattern=pattern,
    )
