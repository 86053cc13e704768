"""Whether a page asks bots to stay away, as https://en.wikipedia.org/wiki/Template:Bots defines it.

`{{nobots}}` and `{{bots|allow=…}}`, `{{bots|deny=…}}` are honoured; `optout` is about messages on talk pages and
is ignored. Templates inside comments and `<nowiki>` are no templates.
"""

import mwparserfromhell

_TEMPLATES = ("bots", "nobots")


def may_edit(wikitext: str, account: str) -> bool:
    """Return whether a page with this wikitext lets the bot `account` edit it.

    Each template on the page has to agree. Within one template a list that names the account goes before "all"
    and "none". Capitals, and spaces or underscores in names, make no difference.
    """
    if "bots" not in wikitext.lower():  # saves the parsing of nearly every page
        return True
    me = _plain(account)
    templates = mwparserfromhell.parse(wikitext).filter_templates()
    return all(_permits(template, me) for template in templates if _name(template) in _TEMPLATES)


def _permits(template: mwparserfromhell.nodes.Template, me: str) -> bool:
    allow, deny = _names(template, "allow"), _names(template, "deny")
    if deny is not None and me in deny:
        return False
    if allow is not None:
        return me in allow or "all" in allow
    if _name(template) == "nobots":
        return False
    return deny is None or "all" not in deny


def _name(template: mwparserfromhell.nodes.Template) -> str:
    return _plain(str(template.name.strip_code())).removeprefix("template:").strip()


def _names(template: mwparserfromhell.nodes.Template, parameter: str) -> set[str] | None:
    """Return the names in a parameter's list, None if the template does not have it."""
    given = next((one for one in template.params if _plain(str(one.name.strip_code())) == parameter), None)
    if given is None:
        return None
    listed = str(given.value.strip_code()).split(",")
    return {_plain(name).removeprefix("user:").strip() for name in listed} - {""}


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()
