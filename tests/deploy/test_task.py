"""The task as ECS gets it, and its permissions.

The emulator keeps only the top level of a stack's task definition, so the template's is resolved here and registered
with ECS directly. The roles are those of the stacks.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from lexbridge.config.bots import LexV1Bot, LexV2Bot
from lexbridge.config.reading import read_settings
from tests.support.deploy.stacks import (
    ACCOUNT,
    OTHER_PARAMETERS,
    REGION,
    SERVICE_PARAMETERS,
    TEMPLATES,
    Aws,
    Resolver,
    load,
)
from tests.support.deploy.tools import INSTALL_LIMIT_S

pytestmark = pytest.mark.timeout(INSTALL_LIMIT_S + 120)

ALIAS = f"arn:aws:lex:{REGION}:{ACCOUNT}:bot-alias"
TASK = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task"


def task_definition(aws: Aws, stack: str, parameters: Mapping[str, str], outputs: Mapping[str, str]) -> dict[str, Any]:
    """Return the task definition as ECS describes it. boto3 has checked each field against ECS's own model."""
    secrets = aws.client("secretsmanager")
    made = aws.resources(stack)
    arns = {
        name: secrets.describe_secret(SecretId=physical)["ARN"]
        for name, physical in made.items()
        if name.endswith("Secret")
    }
    known = made | arns | {"TaskRole.Arn": outputs["TaskRoleArn"]}
    template = load(TEMPLATES / "service.yml")
    resolver = Resolver(template, parameters, known, aws.exports())
    request = as_ecs_has_it(resolver.resolve(template["Resources"]["TaskDefinition"]["Properties"]))
    for port in request["containerDefinitions"][0]["portMappings"]:
        port["containerPort"] = int(port["containerPort"])  # an export is text, and CloudFormation converts it too
    request["family"] += "-direct"
    ecs = aws.client("ecs")
    arn = ecs.register_task_definition(**request)["taskDefinition"]["taskDefinitionArn"]
    return dict(ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"])


def as_ecs_has_it(node: Any) -> Any:
    """Return a value of CloudFormation with ECS's names.

    Their first letter is small, except in a log driver's options.
    """
    if isinstance(node, list):
        return [as_ecs_has_it(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        name[0].lower() + name[1:]: value if name == "Options" else as_ecs_has_it(value) for name, value in node.items()
    }


def environment(aws: Aws, container: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of the service, with the secrets that ECS puts there."""
    found = {entry["name"]: entry["value"] for entry in container["environment"]}
    for entry in container["secrets"]:
        # arn:aws:secretsmanager:region:account:secret:name; for JSON, :key:version stage:version id follows
        parts = entry["valueFrom"].split(":")
        secret = aws.client("secretsmanager").get_secret_value(SecretId=":".join(parts[:7]))["SecretString"]
        found[entry["name"]] = json.loads(secret)[parts[7]] if len(parts) > 7 else secret
    return found


def test_the_task_is_what_the_service_needs(aws: Aws, service: dict[str, str]) -> None:
    found = task_definition(aws, "lexbridge-voice", SERVICE_PARAMETERS, service)
    assert found["taskRoleArn"] == service["TaskRoleArn"]
    assert found["executionRoleArn"] == aws.exports()["lexbridge:ExecutionRoleArn"]
    assert found["runtimePlatform"] == {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"}
    assert (found["networkMode"], found["requiresCompatibilities"]) == ("awsvpc", ["FARGATE"])
    assert (found["cpu"], found["memory"]) == ("1024", "2048")
    (container,) = found["containerDefinitions"]
    assert container["image"] == SERVICE_PARAMETERS["ImageUrl"]
    assert container["readonlyRootFilesystem"] is True
    assert container["user"] == "10001:10001"
    assert container["stopTimeout"] == 120
    assert container["linuxParameters"] == {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}}
    assert container["ulimits"] == [{"name": "nofile", "softLimit": 65536, "hardLimit": 65536}]
    assert [one["containerPort"] for one in container["portMappings"]] == [8080]
    assert container["logConfiguration"]["options"] == {
        "awslogs-group": "/ecs/lexbridge-voice",
        "awslogs-region": REGION,
        "awslogs-stream-prefix": "voice",
        "mode": "non-blocking",
        "max-buffer-size": "25m",
    }
    assert not container.get("environmentFiles")
    settings = read_settings(environment(aws, container))
    assert settings.line.bot == LexV2Bot("ABCDEFGHIJ", "KLMNOPQRST", "en_US")
    assert (settings.service.url, settings.service.stream_url) == (
        "https://voice.example.com",
        "wss://voice.example.com/",
    )
    assert settings.service.account.auth_tokens == (SERVICE_PARAMETERS["TwilioAuthToken"],)
    assert (settings.line.aws_region, settings.service.container_port, settings.line.vad) == (REGION, 8080, "hybrid")
    assert settings.service.access_key_id is None
    assert settings.service.drain_s < container["stopTimeout"]
    assert settings.service.service_name == service["ServiceName"]  # the dimension of the metric of the scaling policy


def test_the_other_task_is_what_was_chosen(aws: Aws, other: dict[str, str]) -> None:
    found = task_definition(aws, "lexbridge-second", OTHER_PARAMETERS, other)
    assert found["runtimePlatform"]["cpuArchitecture"] == "ARM64"
    (container,) = found["containerDefinitions"]
    assert container["environmentFiles"] == [{"type": "s3", "value": OTHER_PARAMETERS["SettingsFileArn"]}]
    settings = read_settings(environment(aws, container))
    assert settings.line.bot == LexV1Bot("OrderFlowers", "prod")
    assert settings.service.account.auth_tokens == ("primary", "secondary")
    keys = (settings.service.access_key_id, settings.service.secret_access_key)
    assert keys == (OTHER_PARAMETERS["IAMAccessKeyId"], OTHER_PARAMETERS["IAMSecretAccessKey"])
    assert (settings.line.aws_region, settings.line.reply_mode, settings.service.web_concurrency) == (
        "eu-west-1",
        "stream",
        2,
    )


def test_no_secret_is_where_a_task_definition_shows_it(
    aws: Aws, service: dict[str, str], other: dict[str, str]
) -> None:
    names = ("TwilioAuthToken", "TwilioAuthTokenSecondary", "IAMAccessKeyId", "IAMSecretAccessKey")
    for stack, parameters, outputs in (
        ("lexbridge-voice", SERVICE_PARAMETERS, service),
        ("lexbridge-second", OTHER_PARAMETERS, other),
    ):
        shown = {entry["name"]: entry["value"] for entry in environment_as_shown(aws, stack, parameters, outputs)}
        assert set(shown.values()).isdisjoint({parameters[name] for name in names if name in parameters})
        assert shown["REPLY_MODE"] == parameters.get("ReplyMode", "call-update")
    shown_parameters = aws.client("cloudformation").describe_stacks(StackName="lexbridge-second")["Stacks"][0]
    values = {one["ParameterKey"]: one["ParameterValue"] for one in shown_parameters["Parameters"]}
    assert {values[name] for name in names} == {"****"}


def environment_as_shown(aws: Aws, stack: str, parameters: Mapping[str, str], outputs: Mapping[str, str]) -> Any:
    return task_definition(aws, stack, parameters, outputs)["containerDefinitions"][0]["environment"]


# --- permissions


def allowed(aws: Aws, role_arn: str, action: str, resource: str) -> bool:
    """Return the result of IAM's own policy simulation."""
    request = {"PolicySourceArn": role_arn, "ActionNames": [action], "ResourceArns": [resource]}
    (found,) = aws.client("iam").simulate_principal_policy(**request)["EvaluationResults"]
    return bool(found["EvalDecision"] == "allowed")


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("lex:RecognizeUtterance", f"{ALIAS}/ABCDEFGHIJ/KLMNOPQRST", True),
        ("lex:GetSession", f"{ALIAS}/ABCDEFGHIJ/KLMNOPQRST", True),
        ("lex:PutSession", f"{ALIAS}/ABCDEFGHIJ/KLMNOPQRST", False),
        ("lex:DeleteSession", f"{ALIAS}/ABCDEFGHIJ/KLMNOPQRST", False),
        ("lex:DeleteBotAlias", f"{ALIAS}/ABCDEFGHIJ/KLMNOPQRST", False),
        ("lex:RecognizeUtterance", f"{ALIAS}/ABCDEFGHIJ/TSTALIASID", False),
        ("lex:RecognizeUtterance", f"{ALIAS}/OTHERBOT00/KLMNOPQRST", False),
        ("lex:RecognizeUtterance", f"{ALIAS}/ABCDEFGHIJ/KLMNOPQRST".replace(REGION, "eu-west-1"), False),
        ("lex:PostContent", f"{ALIAS}/ABCDEFGHIJ/KLMNOPQRST", False),
        ("ecs:UpdateTaskProtection", f"{TASK}/lexbridge/0123456789abcdef", True),
        ("ecs:GetTaskProtection", f"{TASK}/lexbridge/0123456789abcdef", True),
        ("ecs:UpdateTaskProtection", f"{TASK}/others/0123456789abcdef", False),
        ("ecs:StopTask", f"{TASK}/lexbridge/0123456789abcdef", False),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:any", False),
        ("s3:GetObject", "arn:aws:s3:::settings/voice/production.env", False),
        ("logs:PutLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/ecs/lexbridge-voice:*", False),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/any", False),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/any", False),
    ],
)
def test_the_service_may_talk_with_its_bot(
    aws: Aws, service: dict[str, str], action: str, resource: str, expected: bool
) -> None:
    assert allowed(aws, service["TaskRoleArn"], action, resource) is expected


def granted(aws: Aws, role_arn: str) -> set[str]:
    """Return every action that a role's policies name."""
    iam, role = aws.client("iam"), role_arn.rpartition("/")[2]
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    actions: set[str] = set()
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for statement in document["Statement"]:
            action = statement["Action"]
            actions |= {action} if isinstance(action, str) else set(action)
    return actions


def test_nothing_else_is_granted(aws: Aws, service: dict[str, str], other: dict[str, str]) -> None:
    protection = {"ecs:GetTaskProtection", "ecs:UpdateTaskProtection"}
    assert granted(aws, service["TaskRoleArn"]) == protection | {"lex:RecognizeUtterance", "lex:GetSession"}
    v1 = {"lex:PostContent", "lex:GetSession", "lex:PutSession"}  # stream mode puts sessions
    assert granted(aws, other["TaskRoleArn"]) == protection | v1
    bot = f"arn:aws:lex:eu-west-1:{ACCOUNT}:bot:OrderFlowers"
    assert allowed(aws, other["TaskRoleArn"], "lex:PostContent", f"{bot}:prod")
    assert not allowed(aws, other["TaskRoleArn"], "lex:PostContent", f"{bot}:test")


def test_ecs_may_start_the_services_and_nothing_else(aws: Aws, service: dict[str, str], other: dict[str, str]) -> None:
    role = aws.exports()["lexbridge:ExecutionRoleArn"]
    pull = {"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
    start = {"secretsmanager:GetSecretValue", "logs:CreateLogStream", "logs:PutLogEvents"}
    settings = {"s3:GetObject", "s3:GetBucketLocation"}
    assert granted(aws, role) == pull | start | settings | {"ecr:GetAuthorizationToken"}
    repositories = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
    assert allowed(aws, role, "ecr:BatchGetImage", f"{repositories}/lexbridge")
    assert not allowed(aws, role, "ecr:BatchGetImage", f"{repositories}/others")
    assert allowed(aws, role, "s3:GetObject", "arn:aws:s3:::settings/voice/production.env")
    assert not allowed(aws, role, "s3:GetObject", "arn:aws:s3:::settings/voice/others.env")
    assert allowed(aws, role, "s3:GetBucketLocation", "arn:aws:s3:::settings")
