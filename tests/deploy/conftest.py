"""The two stacks in an emulator of AWS, one emulator for each test module that asks for it."""

from gevent import monkey

monkey.patch_all()  # earlier than tests/conftest.py does it, because the imports below use ssl

from collections.abc import Iterator

import pytest

from tests.support.deploy.stacks import (
    CORE_PARAMETERS,
    OTHER_PARAMETERS,
    SERVICE_PARAMETERS,
    TEMPLATES,
    Aws,
    emulator,
    load,
    service_template,
)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """Return an AWS account with nothing in it."""
    with emulator(tmp_path_factory.mktemp("aws")) as account:
        yield account


@pytest.fixture(scope="module")
def core(aws: Aws) -> dict[str, str]:
    """Return the outputs of the core stack."""
    return aws.create("lexbridge-core", load(TEMPLATES / "core.yml"), CORE_PARAMETERS)


@pytest.fixture(scope="module")
def service(aws: Aws, core: dict[str, str]) -> dict[str, str]:
    """Return the outputs of a service's stack with as few parameters as possible."""
    return aws.create("lexbridge-voice", service_template(), SERVICE_PARAMETERS)


@pytest.fixture(scope="module")
def zone(aws: Aws) -> str:
    """Return the id of a hosted zone for example.com."""
    zone = aws.client("route53").create_hosted_zone(Name="example.com", CallerReference="once")
    return str(zone["HostedZone"]["Id"].rpartition("/")[2])


@pytest.fixture(scope="module")
def other(aws: Aws, core: dict[str, str], zone: str) -> dict[str, str]:
    """Return the outputs of a second service's stack with as many parameters as possible."""
    return aws.create("lexbridge-second", service_template(), OTHER_PARAMETERS | {"HostedZoneId": zone})
