"""Others' HTML, made harmless."""

import pytest

from wiki_sync.html import plain_text, safe_html, web_address


def test_scripts_and_handlers_do_not_survive() -> None:
    nasty = (
        "<p onclick=steal()>A <b>plate</b><script>alert(1)</script>"
        "<img src=x onerror=alert(1)><a href='javascript:alert(1)'>k</a></p>"
    )
    clean = safe_html(nasty)
    assert "<b>plate</b>" in clean
    for word in ("script", "onclick", "onerror", "<img", "alert"):
        assert word not in clean


def test_links_keep_their_web_address_and_lose_their_trust() -> None:
    clean = safe_html('<a href="https://example.org/x" style="x" target="_top">x</a>')
    assert 'href="https://example.org/x"' in clean
    assert "nofollow" in clean
    assert "style" not in clean
    assert "target" not in clean


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<b>Sneeuwgors</b> &amp; <i>co</i>", "Sneeuwgors & co"),
        ("one<br>two<p>three</p>four", "one two three four"),
        ("<li>a</li><li>b</li>", "a b"),
        ("a<script>alert(1)</script>b", "ab"),
        ("3 &lt; 4", "3 < 4"),
        ("", ""),
        ("  many\n\n spaces ", "many spaces"),
        ("<b>cut off <i", "cut off"),
    ],
)
def test_plain_text_has_the_words_only(html: str, text: str) -> None:
    assert plain_text(html) == text


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://creativecommons.org/publicdomain/zero/1.0/", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("//creativecommons.org/x", "https://creativecommons.org/x"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("http://", None),
        ('https://example.org/" onclick="x', None),
        ("https://[", None),
        ("/relative", None),
        (None, None),
    ],
)
def test_only_whole_web_addresses_are_addresses(written: str | None, address: str | None) -> None:
    assert web_address(written) == address
