"""An option of an endpoint stands in four places, because each of them is a contract of its own; none may lack it."""

from __future__ import annotations

from msgspec import NODEFAULT
from msgspec.structs import asdict, fields
from tests.unit.endpoints.test_validation import endpoint

from tellwire.endpoints.lifecycle import EndpointChange, EndpointDraft
from tellwire.model.deliveries import Endpoint
from tellwire.web.api.webhook_endpoints import EndpointRead

OURS = {"id", "organization_id", "secrets", "state", "disabled_reason", "created_at", "updated_at"}
"""What of an endpoint its owner does not choose."""
SECRET = {"token", "verify_token"}
"""What reads do not show."""
TURNED = {"secret": "secrets", "secret_of": "secrets", "pull": "state"}
"""What is given and is another field of an endpoint."""
OPTIONS = {field.name for field in fields(Endpoint)} - OURS


def named(struct: type) -> set[str]:
    return {field.name for field in fields(struct)}


def test_each_can_be_given_changed_and_read() -> None:
    for struct, lacks in ((EndpointDraft, set()), (EndpointChange, {"format"}), (EndpointRead, SECRET)):
        missing = sorted(OPTIONS - lacks - named(struct))
        assert not missing, f"{struct.__name__} lacks {missing[0]}, which is an option of `Endpoint`."


def test_each_that_can_be_given_is_one() -> None:
    unknown = sorted((named(EndpointDraft) | named(EndpointChange)) - OPTIONS - TURNED.keys())
    assert not unknown, f"`Endpoint` in model/deliveries.py lacks {unknown[0]}, which its draft or its change has."


def test_one_that_is_left_out_is_what_it_is_in_the_model() -> None:
    plain = asdict(endpoint())
    for field in fields(EndpointDraft):
        if field.name not in {"url", "format", *TURNED} and not field.required:
            default = field.default_factory() if field.default is NODEFAULT else field.default
            assert default in (None, plain[field.name]), (
                f"EndpointDraft and `Endpoint` differ in what {field.name} is when it is left out."
            )
