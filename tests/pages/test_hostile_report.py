"""Names and texts of runs come from anyone: none of them may become markup, style or script in the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smoothrl.compare.output.report import render, write_report
from smoothrl.compare.result import Comparison

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "closes the JSON": "</script><script>alert(1)</script>",
    "closes the JSON, loosely": "</ScRiPt\t><script>alert(1)</script >",
    "comment in the JSON": "<!--<script>alert(1)",
    "closes the title": "</title><script>alert(1)</script>",
    "closes the style": "</style><script>alert(1)</script>",
    "closes the text of no script": "</noscript><img src=x onerror=alert(1)>",
    "image": "<img src=x onerror=alert(1)>",
    "image, without end": "<img src=x onerror=alert(1) ",
    "svg": "<svg onload=alert(1)>",
    "svg script": "<svg><script>alert&#40;1&#41;</script></svg>",
    "svg animation": "<svg><animate onbegin=alert(1) attributeName=x dur=1s></svg>",
    "math": "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "frame": "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "object": "<object data='data:text/html,<script>alert(1)</script>'></object>",
    "form": "<form action=javascript:alert(1)><button autofocus formaction=javascript:alert(1)>x</button></form>",
    "base": "<base href='https://example.invalid/'>",
    "refresh": "<meta http-equiv=refresh content='0;url=https://example.invalid/'>",
    "style sheet": "<link rel=stylesheet href=https://example.invalid/a.css>",
    "style": "<style>*{display:none}</style>",
    "details": "<details open ontoggle=alert(1)>x</details>",
    "leaves an attribute": '" onmouseover="alert(1)" autofocus onfocus="alert(1)" x="',
    "leaves an attribute, single quotes": "' onmouseover='alert(1)' autofocus onfocus='alert(1)' x='",
    "leaves an attribute, back quotes": "` onmouseover=alert(1) x=`",
    "address": "javascript:alert(1)//",
    "link": "<a href='&#106;avascript:alert(1)'>x</a>",
    "Jinja": "{{ 7 * 7 }}{% raw %}{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "template string": "${alert(1)}`+alert(1)+`",
    "JSON": '"}];alert(1);[{"x":"\\u0022;alert(1)//',
    "prototype": "__proto__",
    "CSS": "red;}*{background:url(https://example.invalid/)}",
    "entities": "&lt;script&gt;alert(1)&lt;/script&gt;&#0;&nbsp",
    "UTF-7": "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "formula": "=HYPERLINK(\"https://example.invalid/\",\"x\")",
}  # fmt: skip
UNPRINTABLE = {
    "right-to-left override": ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
    "line separators": ("a\u2028alert(1)\u2029b", "a\\u2028alert(1)\\u2029b"),
    "null byte": ("a\0<script>alert(1)</script>", "a\\x00<script>alert(1)</script>"),
    "terminal escape": ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
    "unpaired surrogate": ("a\udc80b", "a\\udc80b"),
    "zero width": ("pla\u200bin", "pla\\u200bin"),
    "isolates": ("\u2066\u2067x", "\\u2066\\u2067x"),
}
PAYLOADS = {name: (text, text) for name, text in HOSTILE.items()} | UNPRINTABLE

Make = Callable[..., Comparison]


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", PAYLOADS)
def test_hostile_text_stays_text(name: str, make_comparison: Make, tmp_path: Path, visit: Callable[..., Any]) -> None:
    """In every field at once: title, tasks, variants, tags, config, folders, notices, sentences, command."""
    payload, shown = PAYLOADS[name]
    write_report(make_comparison(text=lambda text: f"{payload} {text}", tasks=1, seeds=3), tmp_path / "report.html")
    opened = visit(tmp_path / "report.html")
    page = opened.page

    # Hover and press what there is: handlers would run now, and tips are built from the data.
    page.locator("#legend button").first.click()
    page.locator("#legend button").first.click()
    for charts in ("curve-charts", "recovery-charts", "smoothness-charts"):
        page.locator(f"#{charts} svg").first.focus()
        page.keyboard.press("ArrowRight")
        assert one_line(shown) in one_line(page.locator("#tip").inner_text())
    page.locator(".runs thead button").first.click()

    assert opened.ran() == []
    assert opened.complaints == []
    assert opened.violations() == []
    assert opened.requests == [(tmp_path / "report.html").as_uri()]
    assert page.evaluate("[document.scripts.length, document.styleSheets.length]") == [2, 1]
    assert page.locator("img, iframe, object, embed, form, base, link, math, animate, a").count() == 0
    assert page.locator("[href], [src], [style]:not(#tip)").count() == 0
    handlers = "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on')))"
    assert page.evaluate(f"{handlers}.length") == 0

    assert one_line(page.title()).startswith(one_line(f"{shown} recover-pendulum"))
    for where in (
        "h1",
        "#answer ol",
        ".cautions",
        "#legend",
        "#curve-charts figcaption",
        "#recovery table",
        "#tunability table.heat",
        "#variants table",
        "#runs table.runs",
        "#methods-text",
        "#command",
    ):
        text = page.locator(where).first.evaluate("one => one.textContent")
        assert one_line(shown) in one_line(text), where  # fmt: skip


def test_the_trap_springs(tmp_path: Path, visit: Callable[..., Any]) -> None:
    """The test above would see code that runs: a page that is not ours, and has no policy."""
    (tmp_path / "x.html").write_text("<p>x</p><script>alert(1)</script><img src='x' onerror='alert(1)'>")
    opened = visit(tmp_path / "x.html")
    assert opened.ran() == ["alert", "alert"]
    assert len(opened.requests) == 2


def test_the_policy_is_a_second_wall(comparison: Comparison, tmp_path: Path, visit: Callable[..., Any]) -> None:
    """Should markup ever get through, it runs nothing, loads nothing, styles nothing."""
    injected = (
        "<script>alert(1)</script><img src='x.png' onerror='alert(1)'><p id=p style='color: rgb(1, 2, 3)'>x</p>"
        "<style>#p { color: rgb(1, 2, 3) }</style><iframe src='javascript:parent.alert(1)'></iframe>"
        "<base href='https://example.invalid/'><form action='javascript:alert(1)'></form>"
    )
    path = tmp_path / "report.html"
    path.write_text(render(comparison).replace("<main>", f"<main>{injected}", 1), "utf-8")
    opened = visit(path)
    opened.page.evaluate("document.forms[0].submit()")
    assert opened.ran() == []
    assert opened.answers == [path.as_uri()]
    assert {"script-src-elem", "style-src-elem", "style-src-attr", "img-src", "base-uri"} <= set(opened.violations())
    assert opened.page.locator("#p").evaluate("one => getComputedStyle(one).color") != "rgb(1, 2, 3)"
    assert opened.page.locator("#curve-charts svg").count() == 2  # and our own script runs all the same
