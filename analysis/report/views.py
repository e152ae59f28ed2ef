"""Results as a notebook shows them: the tables of their report, without its figures."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from analysis.report.report import Table

_TEMPLATE = """\
<p><b>{{ title }}</b></p>
{% if lead %}<p>{{ lead }}</p>{% endif %}
{% for table in tables %}
<table>
<caption style="text-align: left; white-space: nowrap">{{ table.title }}</caption>
<thead><tr>{% for cell in table.head %}<th>{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in table.rows %}
<tr>{% for cell in row %}
<td{% if loop.first %} style="text-align: left"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{%- endfor %}</tbody>
</table>
{% if table.note %}<p>{{ table.note }}</p>{% endif %}
{% endfor %}
"""


def html_view(title: str, lead: str, tables: Sequence[Table]) -> str:
    """Title, sentences and tables as HTML that any page can hold."""
    from jinja2 import Environment

    view = Environment(autoescape=True).from_string(_TEMPLATE)
    return view.render(title=title, lead=lead, tables=tables)


class Viewed:
    """A result that a notebook shows by ``view`` of the module ``page`` of its room: pages know their
    results, and results no page."""

    def _repr_html_(self) -> str:
        room = type(self).__module__.rpartition(".")[0]
        return str(import_module(f"{room}.page").view(self))
