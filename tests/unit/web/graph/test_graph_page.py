"""The page of the Graph API names every route with its scopes, and every error that a problem of ours becomes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tellwire import errors
from tellwire.errors import Problem
from tellwire.web.graph.dispatch import ROUTES
from tellwire.web.graph.errors import GraphError, no_such_path, not_there, of_problem
from tellwire.web.problems import problem_of

PAGE = (Path(__file__).parents[4] / "docs/reference/graph-api.md").read_text()
NODES = {"number": "{phone_number_id}", "business": "{waba_id}", "template": "{template_id}", "file": "{media_id}"}


def test_every_route_has_its_row_and_no_row_is_of_nothing() -> None:
    said = {
        call: {*re.findall(r"`([\w:]+)`", scopes)}
        for call, scopes in re.findall(r"(?m)^\| `((?:GET|POST|DELETE) /[^`]*)` \| ([^|]*) \|", PAGE)
    }
    served = {}
    for (method, kind, edge), route in ROUTES.items():
        path = "/".join(part for part in (NODES.get(kind, ""), edge) if part)
        served[f"{method} /{path}"] = {*route.scopes}
    assert said == served


PROBLEMS: list[tuple[Problem, int, int]] = [
    (errors.Unauthorized("x"), 190, 401),
    (errors.NotAllowed("x"), 10, 403),
    (errors.NotFound("x"), 100, 400),
    (problem_of(410, "media-erased", "x"), 100, 400),
    (errors.Invalid("x", ("/a", "is wrong")), 100, 400),
    (errors.BadRequest("x"), 100, 400),
    (errors.WrongType("x"), 100, 400),
    (errors.MetaRefused("x"), 100, 400),
    (errors.QuotaExceeded("x", quota="x"), 100, 400),
    (errors.TooBig("x"), 131053, 400),
    (errors.Busy("x"), 2, 503),
    (errors.MetaUnreachable("x"), 2, 503),
    (errors.Conflict("x", kind="idempotency-in-flight"), 2, 409),
    (errors.Conflict("x"), 100, 400),
    (errors.TooMany("x", retry_after=1), 4, 400),
    (errors.Invalid("x", kind="window-closed"), 131047, 400),
    (errors.Invalid("x", kind="opted-out"), 131050, 400),
    (errors.Problem("x"), 1, 500),
]


@pytest.mark.parametrize(("problem", "code", "status"), PROBLEMS, ids=[type(p).__name__ for p, _, _ in PROBLEMS])
def test_every_problem_is_an_error_of_metas_which_the_page_names(problem: Problem, code: int, status: int) -> None:
    shown = of_problem(problem)
    assert (shown.code, shown.status) == (code, status)
    assert "x" in shown.detail
    assert re.search(rf"(?m)^\| {code}(, subcode 33)? \| {status} \|", PAGE) or f"{status} with {code}" in PAGE


def test_every_class_of_problems_is_in_the_table() -> None:
    """A new kind of problem is asked what it is at Meta's."""
    classes = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Problem)}
    assert classes <= {type(problem) for problem, _, _ in PROBLEMS}


def test_an_error_has_metas_members() -> None:
    shown = not_there("5", "GET")
    assert isinstance(shown, GraphError)
    assert b'"error_subcode":33' in shown.body("a-trace")
    assert b'"fbtrace_id":"a-trace"' in shown.body("a-trace")
    assert b'"code":2500' in no_such_path("/x").body("")
