"""The AWS commands in the documents: their names, options, parameters and outputs exist."""

import re
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from lexbridge.offline.commands.bridge_process import ROOT
from tests.support.deploy.stacks import TEMPLATES, load

TEXT = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", ROOT / "docs" / "deploy.md")}
# A command ends at the end of its line, unless the line is continued, or at the end of a quotation or substitution.
COMMANDS = [
    re.sub(r"\\\n\s*", "", found)
    for text in TEXT.values()
    for found in re.findall(r"\baws (?:acm|cloudformation|ecr|ecs|logs) (?:[^\n`|)\\]|\\\n|\[\?[^\]]*\])+", text)
]
OF_EVERY_COMMAND = {"query", "output", "region"}
# Commands that only the CLI has, not AWS's API, with the options that are used here.
OWN_COMMANDS = {
    ("cloudformation", "deploy"): {"stack-name", "template-file", "capabilities", "parameter-overrides"},
    ("ecr", "get-login-password"): set(),
    ("logs", "tail"): {"follow"},
}


def options_of(service: str, operation: str, session: Any) -> set[str]:
    """Return the options that the AWS CLI has for an operation of AWS's service model."""
    model = session.get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    assert operation in names, f"aws {service} {operation}"
    shape = model.operation_model(names[operation]).input_shape
    members = {xform_name(member, "-"): one for member, one in shape.members.items()}
    return set(members) | {f"no-{name}" for name, one in members.items() if one.type_name == "boolean"}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[:50])
def test_the_command_exists(command: str) -> None:
    session = botocore.session.get_session()
    _, service, operation, *rest = command.split()
    options = set(re.findall(r"(?<=\s--)[a-z-]+", command))
    if (service, operation) in OWN_COMMANDS:
        allowed = OWN_COMMANDS[service, operation]
    elif operation == "wait":
        waiters = session.get_waiter_model(service)
        name = {xform_name(one, "-"): one for one in waiters.waiter_names}[rest[0]]
        allowed = options_of(service, xform_name(waiters.get_waiter(name).operation, "-"), session)
    else:
        allowed = options_of(service, operation, session)
    assert options <= allowed | OF_EVERY_COMMAND


def test_every_parameter_that_is_given_is_one_of_the_template() -> None:
    deploys = [command for command in COMMANDS if " deploy " in command]
    assert len(deploys) == 3
    for command in deploys:
        template = re.search(r"--template-file cloudformation/(\w+\.yml)", command)
        assert template is not None
        parameters = load(TEMPLATES / template[1])["Parameters"]
        given = set(re.findall(r"\b([A-Z]\w+)=", command.partition("--parameter-overrides")[2]))
        assert given
        assert given <= set(parameters)
    required = {name for name, one in load(TEMPLATES / "service.yml")["Parameters"].items() if "Default" not in one}
    assert required <= set(re.findall(r"\b([A-Z]\w+)=", deploys[1]))


def test_every_parameter_and_output_that_is_named_exists() -> None:
    templates = [load(TEMPLATES / name) for name in ("core.yml", "service.yml")]
    known = {name for one in templates for part in ("Parameters", "Outputs", "Resources") for name in one[part]}
    for path, text in TEXT.items():
        deploying = text.partition("\n## Deploy\n")[2].partition("\n## ")[0] if path.name == "README.md" else text
        named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z]\w*)+)(?:=[^`]*)?`", deploying))
        others = {"CallsAnswered", "CallsRefused", "CallsResumed", "TurnsFailed", "ActiveCallsPerTask", "StopTimeout"}
        others |= {"CannotPullContainerError", "ResourceInitializationError"}
        others |= {"GetCallerIdentity", "GetSession", "PutSession", "RecognizeUtterance"}  # requests to AWS
        assert len(named) > 5
        assert named - others <= known
