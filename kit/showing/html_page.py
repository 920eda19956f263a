"""A page of HTML that needs nothing else: no script, no font, no style from elsewhere."""

from __future__ import annotations

from html import escape


def html_page(title: str, style: str, parts: str) -> str:
    """The whole page; the title is escaped, the parts are HTML."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · Fencepost</title><style>{style}</style></head>
<body><main>
{parts}
</main></body></html>
"""
