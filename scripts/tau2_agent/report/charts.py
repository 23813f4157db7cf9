"""The report's charts: Altair's specifications, and the libraries that draw them.

Text and axes take the page's own colour ("currentColor"), so that one chart serves light and dark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

Spec = dict[str, Any]

# Told apart by most colour-blind readers (Okabe and Ito 2008), legible on white and on black.
COLOURS = ["#2f7fd1", "#d9702b", "#1f9e77", "#b065b5", "#b8912a", "#6d7f8f", "#cc5c74", "#4aa3b5"]
SOLVED, FAILED = "#1f9e77", "#d9702b"
FAINT = 0.16  # opacity of grid lines
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@cache
def runtime() -> str:
    """JavaScript of Vega, Vega-Lite and Vega-Embed, as `window.vegaEmbed`: 0.9 MB."""
    version = alt.SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]  # "6.4"
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)


def _spec(chart: Any) -> Spec:
    """The chart's specification, in the report's style."""
    ink = {"labelColor": "currentColor", "titleColor": "currentColor"}
    axis = ink | {
        "gridColor": "currentColor",
        "gridOpacity": FAINT,
        "domainColor": "currentColor",
        "domainOpacity": 0.4,
        "tickColor": "currentColor",
        "tickOpacity": 0.4,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelOpacity": 0.8,
        "titleOpacity": 0.8,
    }
    legend = ink | {"labelFontSize": 11.5, "orient": "top", "title": None, "offset": 4}
    return (
        chart.configure(background="transparent", font=_FONT)
        .configure_view(stroke=None)
        .configure_axis(**axis)
        .configure_legend(**legend)
        .to_dict()
    )


def progress(rows: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]]) -> Spec:
    """pass^1 from stage to stage, with intervals; what needs no training as dashed lines.

    rows: stage, run, value, low, high, in the order of the stages. lines: label, value.
    """
    data = pd.DataFrame(rows)
    stages = list(dict.fromkeys(data["stage"]))
    runs = list(dict.fromkeys(data["run"]))
    x = alt.X("stage:N", sort=stages, title=None, axis=alt.Axis(labelAngle=0, labelFontSize=12))
    scale = alt.Scale(domain=[0, 1.08])  # room for the number above a point at 1
    y = alt.Y(
        "value:Q",
        scale=scale,
        title=None,
        axis=alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1]),
    )
    colour = (
        alt.Color("run:N", scale=alt.Scale(domain=runs, range=COLOURS), legend=alt.Legend())
        if len(runs) > 1
        else alt.value(COLOURS[0])
    )
    offset = {"xOffset": alt.XOffset("run:N", sort=runs)} if len(runs) > 1 else {}
    tooltip = [
        alt.Tooltip("stage:N"),
        alt.Tooltip("run:N"),
        alt.Tooltip("value:Q", format=".3f", title="pass^1"),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
    ]
    base = alt.Chart(data).encode(x=x, color=colour, **offset)
    layers: list[Any] = []
    if lines:
        placed = pd.DataFrame(_spread(lines))
        rule = alt.Chart(placed)
        layers += [
            rule.mark_rule(strokeDash=[3, 3], color="currentColor", opacity=0.45).encode(
                y=alt.Y("value:Q", scale=scale),
                tooltip=[alt.Tooltip("label:N"), alt.Tooltip("value:Q", format=".3f")],
            ),
            rule.mark_text(
                align="left", dx=4, fontSize=10.5, color="currentColor", opacity=0.75
            ).encode(x=alt.value("width"), y=alt.Y("place:Q", scale=scale), text="label:N"),
        ]
    if len(runs) == 1:
        layers.append(base.mark_line(opacity=0.35, strokeWidth=2).encode(y=y, order="order:Q"))
    layers += [
        base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", scale=scale), y2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(y=y, tooltip=tooltip),
    ]
    if len(runs) == 1:
        layers.append(
            base.mark_text(dx=7, dy=-9, align="left", fontSize=12, fontWeight="bold").encode(
                y=y, text=alt.Text("value:Q", format=".2f"), color=alt.value("currentColor")
            )
        )
    return _spec(
        alt.layer(*layers).properties(
            width="container", height=215, padding={"right": 4, "left": 2, "top": 2}
        )
    )


def _spread(lines: Sequence[Mapping[str, Any]], gap: float = 0.07) -> list[dict[str, Any]]:
    """Labels moved apart where their lines lie close together; `place` is where a label goes."""
    placed = [{**line, "place": line["value"]} for line in sorted(lines, key=_value)]
    floor = 0.0
    for line in placed:  # upwards from the lowest
        line["place"] = max(line["place"], floor)
        floor = line["place"] + gap
    ceiling = 1.0
    for line in reversed(placed):  # and down again from the top
        line["place"] = min(line["place"], ceiling)
        ceiling = line["place"] - gap
    return placed


def _value(line: Mapping[str, Any]) -> float:
    return line["value"]


def curve(rows: Sequence[Mapping[str, Any]], axis: str) -> Spec:
    """A quantity over steps or rollouts. rows: step, value, line (what it is a line of)."""
    data = pd.DataFrame(rows)
    names = list(dict.fromkeys(data["line"]))
    several = len(names) > 1
    colour = (
        alt.Color("line:N", scale=alt.Scale(domain=names, range=COLOURS), legend=alt.Legend())
        if several
        else alt.value(COLOURS[0])
    )
    few = data.groupby("line").size().max() <= 30
    chart = (
        alt.Chart(data)
        .mark_line(strokeWidth=1.8, point={"size": 22} if few else False, interpolate="linear")
        .encode(
            x=alt.X("step:Q", title=axis, axis=alt.Axis(tickCount=5, format="d", tickMinStep=1)),
            y=alt.Y(
                "value:Q",
                title=None,
                axis=alt.Axis(tickCount=4),
                scale=alt.Scale(zero=bool(data["value"].min() >= 0 and data["value"].max() <= 1)),
            ),
            color=colour,
            tooltip=[
                alt.Tooltip("line:N", title="of"),
                alt.Tooltip("step:Q", title=axis),
                alt.Tooltip("value:Q", format=".4~g"),
            ],
        )
    )
    return _spec(chart.properties(width="container", height=130))


def shares(rows: Sequence[Mapping[str, Any]], kinds: Sequence[str]) -> Spec:
    """Stacked bars: of each `bar`, how many episodes are of each kind. rows: bar, kind, count."""
    data = pd.DataFrame(rows)
    bars = list(dict.fromkeys(data["bar"]))
    chart = (
        alt.Chart(data)
        .mark_bar(height={"band": 0.72})
        .encode(
            y=alt.Y(
                "bar:N", sort=bars, title=None, axis=alt.Axis(labelLimit=220, labelFontSize=12)
            ),
            x=alt.X("count:Q", stack="normalize", title=None, axis=alt.Axis(format=".0%")),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=list(kinds), range=COLOURS),
                legend=alt.Legend(columns=4),
            ),
            order=alt.Order("place:Q"),
            tooltip=["bar:N", "kind:N", "count:Q"],
        )
    )
    return _spec(chart.properties(width="container", height=32 * len(bars)))


def areas(rows: Sequence[Mapping[str, Any]], kinds: Sequence[str]) -> Spec:
    """How the kinds' shares change over rollouts. rows: step, kind, count."""
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_area(interpolate="linear", opacity=0.85)
        .encode(
            x=alt.X("step:Q", title="rollout", axis=alt.Axis(tickCount=5, format="d")),
            y=alt.Y("count:Q", stack="normalize", title=None, axis=alt.Axis(format=".0%")),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=list(kinds), range=COLOURS),
                legend=alt.Legend(columns=3),
            ),
            tooltip=["step:Q", "kind:N", "count:Q"],
        )
    )
    return _spec(chart.properties(width="container", height=150))
