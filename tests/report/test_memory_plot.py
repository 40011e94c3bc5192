"""The plot of memory: its axes, its lines, and what they say."""

from __future__ import annotations

import pytest

from paddlevl_doctor.parsing.output.run_report_model import Sample
from paddlevl_doctor.report.parse_html import Line, Plot, plot_of


def test_too_few_samples_are_no_plot() -> None:
    assert [plot_of(()), plot_of((Sample(1, 100),))] == [None, None]


def test_a_plot_says_how_high_memory_was_and_how_fast_it_rose() -> None:
    plot = plot_of((Sample(120, 200, 50), Sample(0, 100), Sample(60, 150, 50)))

    assert plot == Plot(
        rss=Line("0.0,100.0 320.0,50.0 640.0,0.0", 200, "320.0,50.0 640.0,0.0", "+50.0"),
        vram=Line("320.0,150.0 640.0,150.0", 50, "320.0,150.0 640.0,150.0", "+0.0"),
        across=((0.0, "0"), (50 / 120 * 640, "50"), (100 / 120 * 640, "100")),
        up=((200.0, "0"), (150.0, "50"), (100.0, "100"), (50.0, "150"), (0.0, "200")),
    )


def test_a_peak_among_many_samples_stays() -> None:
    plot = plot_of([Sample(n, 9000 if n == 4321 else 100) for n in range(10_000)])

    assert plot is not None
    assert plot.rss.most_mb == 9000
    assert len(plot.rss.points.split()) <= 640
    assert plot.rss.points.split()[4321 // 16].endswith(",20.0")


@pytest.mark.parametrize(
    ("mb", "labels"),
    [
        (1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (999, ["0", "200", "400", "600", "800", "1,000"]),
        (1001, ["0", "500", "1,000", "1,500"]),
        (139_000, ["0", "50,000", "100,000", "150,000"]),
    ],
)
def test_the_ticks_are_round_numbers_and_reach_the_highest_value(mb: int, labels: list[str]) -> None:
    plot = plot_of((Sample(0, 0), Sample(1, mb)))

    assert plot is not None
    assert [label for _, label in plot.up] == labels


def test_samples_of_one_moment_are_no_division_by_zero() -> None:
    plot = plot_of((Sample(0, 0), Sample(0, 0)))

    assert plot is not None
    assert plot.rss.rise == "+0.0"
