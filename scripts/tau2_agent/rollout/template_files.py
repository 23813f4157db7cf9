"""Where chat templates lie: those that are shipped here, by name, and users' own files."""

from __future__ import annotations

from pathlib import Path

from tau2_agent.rollout.rendering import TemplateError

_SHIPPED = Path(__file__).with_name("templates")


def shipped_templates() -> dict[str, Path]:
    """Name -> file of the templates that come with this project."""
    return {file.stem: file for file in sorted(_SHIPPED.glob("*.jinja"))}


def template_file(wanted: str) -> Path:
    """The file of a shipped template, by its name, or of one's own. Raises TemplateError."""
    file = shipped_templates().get(wanted, Path(wanted))
    if not file.is_file():
        raise TemplateError(
            f"{wanted} is no template file, and none of the templates shipped here "
            f"({', '.join(shipped_templates())})"
        )
    return file


def template_text(wanted: str) -> str:
    """The template's text. Raises TemplateError."""
    try:
        return template_file(wanted).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateError(
            f"the template file {wanted} is no UTF-8 text ({error.reason})"
        ) from error
