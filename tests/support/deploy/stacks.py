"""The templates as data, and stacks made from them in an emulator of AWS that runs on this machine."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import requests
import yaml

from lexbridge.offline.commands.bridge_process import ROOT
from lexbridge.offline.ports import free_port
from tests.support.deploy.tools import MINISTACK, installed

TEMPLATES = ROOT / "cloudformation"
REGION = "us-west-2"
ACCOUNT = "000000000000"
DEADLINE_S = 60

CORE_PARAMETERS = {"CertificateArn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/12345678-1234-1234-1234-123456789012"}
SERVICE_PARAMETERS = {
    "ImageUrl": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/lexbridge:1.0.0",
    "DomainName": "voice.example.com",
    "TwilioAuthToken": "0123456789abcdef0123456789abcdef",
    "LexBotId": "ABCDEFGHIJ",
    "LexBotAliasId": "KLMNOPQRST",
}

# Every optional parameter, with another value than its default.
OTHER_PARAMETERS = {
    "ServiceName": "second",
    "ListenerPriority": "11",
    "ReleasePriority": "10011",
    "ImageUrl": "example.com/lexbridge@sha256:" + "0" * 64,
    "DomainName": "second.example.com",
    "TwilioAuthToken": "primary",
    "TwilioAuthTokenSecondary": "secondary",
    "LexRegion": "eu-west-1",
    "LexBotName": "OrderFlowers",
    "LexBotAlias": "prod",
    "IAMAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "IAMSecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ReplyMode": "stream",
    "Vad": "adaptive",
    "LinesFile": "s3://tables/voice/lines.toml",
    "LinesArns": f"arn:aws:lex:eu-central-1:{ACCOUNT}:bot-alias/BCDEFGHIJK/LMNOPQRSTU,"
    "arn:aws:iam::210987654321:role/asks-lex",
    "SettingsFileArn": "arn:aws:s3:::settings/voice/production.env",
    "CpuArchitecture": "ARM64",
    "Workers": "2",
    "DeregistrationDelay": "600",
    "LogDays": "90",
    "AlarmTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms",
}


class _Loader(yaml.SafeLoader):
    """A YAML loader that reads each short form of CloudFormation as the long one."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def load(path: Path) -> dict[str, Any]:
    """Return a template with its functions in the long form."""
    return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader with more tags


def service_template() -> dict[str, Any]:
    """Return service.yml without the parts that the emulator does not know."""
    template = load(TEMPLATES / "service.yml")
    template["Resources"] = {name: one for name, one in template["Resources"].items() if not _is_unknown(one)}
    return template


def _is_unknown(resource: Mapping[str, Any]) -> bool:
    return resource["Type"].startswith("AWS::ApplicationAutoScaling::") or "Metrics" in resource["Properties"]


_NO_VALUE = object()


@dataclass
class Resolver:
    """The result of a template's functions, as CloudFormation computes it.

    `known`: results of `Ref` and `Fn::GetAtt` of resources, by "Name" and "Name.Attribute". `exports`: values by name.
    """

    template: Mapping[str, Any]
    given: Mapping[str, str]
    known: Mapping[str, str] = field(default_factory=dict)
    exports: Mapping[str, str] = field(default_factory=dict)

    def resolve(self, node: Any) -> Any:
        """Return a part of the template with its functions replaced by their results."""
        if isinstance(node, list):
            return [value for value in map(self.resolve, node) if value is not _NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return getattr(self, "_" + name.removeprefix("Fn::").lower())(argument)
        resolved = {name: self.resolve(value) for name, value in node.items()}
        return {name: value for name, value in resolved.items() if value is not _NO_VALUE}

    def _ref(self, name: str) -> Any:
        own = {"AWS::NoValue": _NO_VALUE, "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws"}
        if name in own:
            return own[name]
        if name in self.template["Parameters"]:
            parameter = self.template["Parameters"][name]
            text = str(self.given.get(name, parameter.get("Default")))  # all are text, as in CloudFormation
            return text.split(",") if parameter["Type"] == "CommaDelimitedList" else text
        return self.known[name]

    def _getatt(self, argument: list[str]) -> str:
        return self.known[".".join(argument)]

    def _sub(self, argument: Any) -> str:
        text, values = (argument, {}) if isinstance(argument, str) else argument
        resolved = {name: self.resolve(value) for name, value in values.items()}
        parts = text.split("${")
        for number, part in enumerate(parts[1:], 1):
            name, rest = part.split("}", 1)
            value = resolved[name] if name in resolved else self.known[name] if "." in name else self._ref(name)
            parts[number] = f"{value}{rest}"
        return "".join(parts)

    def _if(self, argument: list[Any]) -> Any:
        return self.resolve(argument[1] if self._condition(argument[0]) else argument[2])

    def _condition(self, name: str) -> bool:
        return self.resolve(self.template["Conditions"][name])

    def _equals(self, argument: list[Any]) -> bool:
        one, other = self.resolve(argument)
        return one == other

    def _not(self, argument: list[Any]) -> bool:
        return not self.resolve(argument[0])

    def _or(self, argument: list[Any]) -> bool:
        return any(self.resolve(argument))

    def _join(self, argument: list[Any]) -> str:
        return argument[0].join(self.resolve(argument[1]))

    def _split(self, argument: list[Any]) -> list[str]:
        return self.resolve(argument[1]).split(argument[0])

    def _select(self, argument: list[Any]) -> Any:
        return self.resolve(argument[1])[argument[0]]

    def _importvalue(self, argument: Any) -> str:
        return self.exports[self.resolve(argument)]


@dataclass(frozen=True)
class Aws:
    """An AWS account in the emulator."""

    address: str

    def client(self, service: str) -> Any:
        """Return boto3's client of `service`."""
        keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "none"}
        return boto3.client(service, region_name=REGION, endpoint_url=self.address, **keys)

    def create(self, stack: str, template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, str]:
        """Create a stack. Return its outputs."""
        self.client("cloudformation").create_stack(StackName=stack, **_body(template, parameters))
        return self._settled(stack, "CREATE_COMPLETE")

    def update(self, stack: str, template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, str]:
        """Update a stack. Return its outputs."""
        self.client("cloudformation").update_stack(StackName=stack, **_body(template, parameters))
        return self._settled(stack, "UPDATE_COMPLETE")

    def delete(self, stack: str) -> None:
        """Delete a stack, and wait until it is gone."""
        cloudformation = self.client("cloudformation")
        stack_id = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
        cloudformation.delete_stack(StackName=stack)
        self._settled(stack_id, "DELETE_COMPLETE")

    def resources(self, stack: str) -> dict[str, str]:
        """Return the resources of a stack, by their names in the template."""
        found = self.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}

    def exports(self) -> dict[str, str]:
        """Return the exports of all stacks."""
        return {one["Name"]: one["Value"] for one in self.client("cloudformation").list_exports()["Exports"]}

    def _settled(self, stack: str, wanted: str) -> dict[str, str]:
        cloudformation = self.client("cloudformation")
        give_up = time.monotonic() + DEADLINE_S
        while True:
            found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
            if not found["StackStatus"].endswith("_IN_PROGRESS"):
                break
            assert time.monotonic() < give_up, f"{stack} is still {found['StackStatus']}"
            time.sleep(0.1)
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        failures = [(one["LogicalResourceId"], one.get("ResourceStatusReason")) for one in events if _failed(one)]
        assert found["StackStatus"] == wanted, failures
        return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}


def _failed(event: Mapping[str, Any]) -> bool:
    return event["ResourceStatus"].endswith("_FAILED")


def _body(template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    return {"TemplateBody": json.dumps(template), "Parameters": given, "Capabilities": ["CAPABILITY_IAM"]}


@contextmanager
def emulator(folder: Path) -> Iterator[Aws]:
    """Run an empty AWS account in a process of its own, which only this machine can reach.

    Its files are in `folder`.
    """
    program, port = installed(MINISTACK), free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    own = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "TMPDIR": str(folder),
        "S3_DATA_DIR": str(folder / "s3"),
    }
    with (folder / "emulator.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen([program], env=kept | own, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, process)
            yield Aws(address)
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    give_up = time.monotonic() + DEADLINE_S
    while True:
        try:
            requests.get(f"{address}/_ministack/health", timeout=5)
        except requests.ConnectionError:
            assert process.poll() is None, "the emulator has ended"
            assert time.monotonic() < give_up, "the emulator does not listen"
            time.sleep(0.2)
        else:
            return
