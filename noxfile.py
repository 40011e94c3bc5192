"""The usual tasks of a contributor, each in its own environment: `nox -l` lists them, `nox -s quick` runs one."""

from __future__ import annotations

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "quick"]
nox.options.stop_on_first_error = True

BENCHMARKS = (
    "speed",
    "repair_speed",
    "matrix_speed",
    "explain_speed",
    "download_speed",
    "devices_speed",
    "parse_speed",
    "integrity_speed",
)


def install(session: nox.Session) -> None:
    """Install the package in place with everything that its tests need."""
    session.install("-e", ".[reader,dev]")


@nox.session
def lint(session: nox.Session) -> None:
    """Check formatting and lint rules (ruff)."""
    install(session)
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types (mypy, strict)."""
    install(session)
    session.run("mypy")


@nox.session
def quick(session: nox.Session) -> None:
    """Run the tests of checks, plans, data and reports, and print their coverage."""
    install(session)
    session.run("python", "-m", "pytest", "-m", "quick", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the whole suite on real environments."""
    install(session)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Write the pages of the findings again, then test that the documentation agrees with the code."""
    install(session)
    session.run("python", "-m", "paddlevl_doctor.report.finding_docs", "docs/findings")
    session.run(
        "python",
        "-m",
        "pytest",
        "--no-cov",
        "tests/test_docs.py",
        "tests/test_contributing.py",
        *session.posargs,
    )


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Print the structure of the package, then ratios against peers (some take minutes)."""
    install(session)
    for name in session.posargs or ("structure", *BENCHMARKS):
        session.run("python", f"tests/benchmarks/{name}.py")
