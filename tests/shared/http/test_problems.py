"""The list of reasons is the one the code has, and every reason is fit to be an address."""

import re

from shared import errors
from shared.http import catalogue, problems


def test_the_page_is_up_to_date() -> None:
    assert catalogue.PAGE.read_text() == catalogue.page(), "run: python -m shared.http.catalogue"


def test_reasons_are_kebab_case_and_mean_one_kind_of_thing() -> None:
    rows = re.findall(r"^\| `(.+?)` \| (\d{3}) \| (.+) \|$", catalogue.page(), re.MULTILINE)
    assert len(rows) > 60
    for reason, _status, detail in rows:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", reason)
        assert detail == "{…}" or detail.endswith((".", "}"))


def test_every_kind_of_refusal_has_a_status() -> None:
    statuses = {
        errors.BadRequest: 400,
        errors.Unauthenticated: 401,
        errors.Forbidden: 403,
        errors.NotFound: 404,
        errors.Conflict: 409,
        errors.PreconditionFailed: 412,
        errors.Invalid: 422,
        errors.PreconditionRequired: 428,
        errors.Unavailable: 503,
    }
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Refusal)}
    assert set(statuses) == kinds - {errors.Refusal}
    for kind, status in statuses.items():
        assert problems.status_of(kind("reason", "Detail.")) == status


def test_a_more_special_refusal_keeps_the_status_of_its_kind() -> None:
    class Special(errors.Conflict):
        pass

    assert problems.status_of(Special("reason", "Detail.")) == 409


def test_extras_cannot_replace_what_a_problem_says() -> None:
    response = problems.refused(errors.Conflict("real", "Detail.", status=200, type="other", extra="\ud800"), "r-1")
    assert response.status_code == 409
    body = bytes(response.body)
    assert b'"/problems/real"' in body and b'"status": 409' in body and b'"\\ud800"' in body
