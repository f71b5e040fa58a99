"""Say a problem as the system does whose interface a path imitates; everywhere else it is an RFC 9457 problem."""

from __future__ import annotations

from collections.abc import Callable

from tellwire.errors import Problem
from tellwire.web.graph import errors as graph
from tellwire.web.problems import MEDIA_TYPE, problem_body

Shape = Callable[[Problem, str], tuple[int, str, bytes]]
"""The status, media type and body that say a problem; the second argument is the request's id."""


def _graph(problem: Problem, request_id: str) -> tuple[int, str, bytes]:
    shown = graph.of_problem(problem)
    return shown.status, graph.JSON, shown.body(request_id)


def _ours(problem: Problem, request_id: str) -> tuple[int, str, bytes]:
    return problem.status, MEDIA_TYPE, problem_body(problem, request_id)


SHAPES: dict[str, Shape] = {f"{graph.PREFIX}/": _graph}
"""By the beginning of the path."""


def imitates(path: str) -> bool:
    """Return whether a path is another system's: then slashes at its end are as they are there."""
    return path.startswith(tuple(SHAPES))


def shape_of(path: str) -> Shape:
    """Return how a problem is said at a path."""
    return next((shape for prefix, shape in SHAPES.items() if path.startswith(prefix)), _ours)
