"""What of the pages is made from the code. `python -m tests.support.pages` writes it."""

from pathlib import Path

from prometheus_client import REGISTRY
from pydantic.fields import FieldInfo

import shared.observability.metrics  # noqa: F401 - registers them
from shared.settings import Settings
from tests.support.markdown import table
from tests.support.reference import messages_page, routes_page
from tests.support.system import ROOT

DOCS = ROOT / "docs"
OPERATIONS = DOCS / "operations.md"


def settings_table() -> str:
    """Every setting with its default and meaning, required ones first."""
    fields = sorted(Settings.model_fields.items(), key=lambda item: not item[1].is_required())
    rows = [(f"`QUNLI_{name.upper()}`", _default(field), field.description or "") for name, field in fields]
    return table(("setting", "default", "meaning"), rows)


def metrics_table() -> str:
    """Every metric with its labels and meaning."""
    rows = []
    for metric in REGISTRY.collect():
        if metric.name.startswith("qunli_"):
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            collector = REGISTRY._names_to_collectors[name]
            labels = ", ".join(collector._labelnames)  # type: ignore[attr-defined]
            rows.append((f"`{name}`", metric.type, labels, metric.documentation))
    return table(("metric", "type", "labels", "meaning"), rows)


def with_tables(text: str) -> str:
    """The page of operations with its tables as they should be."""
    for name, rows in (("settings", settings_table()), ("metrics", metrics_table())):
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        assert opening and closing, f"the page has no place for {name}"
        text = f"{before}{opening}{rows}{closing}{after}"
    return text


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, tuple):
        return ", ".join(f"`{one}`" for one in field.default)
    return f"`{field.default}`"


def made() -> dict[Path, str]:
    """Every page that is made from the code, in whole or in part, as it should be."""
    return {
        OPERATIONS: with_tables(OPERATIONS.read_text()),
        DOCS / "messages.md": messages_page(),
        DOCS / "routes.md": routes_page(),
    }


if __name__ == "__main__":
    for page, text in made().items():
        page.write_text(text)
