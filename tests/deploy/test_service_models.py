"""Resources that the emulator of test_stacks.py does not know, resolved here and compared with AWS's service models."""

import base64
import hmac
import re
from typing import Any

import botocore.session
import pytest
from botocore.validate import validate_parameters
from twilio.request_validator import RequestValidator

from bench.scale import constants, scenarios
from lexbridge.server import ecs
from lexbridge.server.drain import PROBE_INTERVAL_S
from tests.support.deploy.stacks import OTHER_PARAMETERS, SERVICE_PARAMETERS, TEMPLATES, Resolver, load

CORE, SERVICE = TEMPLATES / "core.yml", TEMPLATES / "service.yml"


def resolved(name: str, **given: str) -> Any:
    """Return the properties of a resource of service.yml."""
    known = {
        "Service.Name": "lexbridge-voice",
        "ScalableTarget": "target",
        "TaskDefinition": "task",
        "TargetGroup": "group",
    }
    imported = ("ClusterName", "ContainerPort", "TaskPublicIp", "TaskSecurityGroupId", "TaskSubnetIds")
    exports = {f"lexbridge:{export}": export for export in imported} | {"lexbridge:ClusterName": "lexbridge"}
    template = load(SERVICE)
    resolver = Resolver(template, SERVICE_PARAMETERS | given, known, exports)
    return resolver.resolve(template["Resources"][name]["Properties"])


def conforms(service: str, operation: str, parameters: Any) -> None:
    model = botocore.session.get_session().get_service_model(service)
    validate_parameters(parameters, model.operation_model(operation).input_shape)


def test_tasks_are_scaled_by_their_calls() -> None:
    target, policy = resolved("ScalableTarget"), resolved("ScalingPolicy", CallsPerTask="40")
    assert target["ResourceId"] == "service/lexbridge/lexbridge-voice"
    sizes = {name: int(target[name]) for name in ("MinCapacity", "MaxCapacity")}
    assert sizes == {"MinCapacity": 2, "MaxCapacity": 20}
    conforms("application-autoscaling", "RegisterScalableTarget", target | sizes)
    tracking = policy.pop("TargetTrackingScalingPolicyConfiguration")
    of = {name: target[name] for name in ("ServiceNamespace", "ScalableDimension", "ResourceId")}
    assert policy.pop("ScalingTargetId") == "target"
    request = policy | of | {"TargetTrackingScalingPolicyConfiguration": tracking | {"TargetValue": 40}}
    conforms("application-autoscaling", "PutScalingPolicy", request)
    metrics = {one["Id"]: one for one in tracking["CustomizedMetricSpecification"]["Metrics"]}
    (shown,) = (one for one in metrics.values() if one.get("ReturnData", True))
    assert shown["Expression"] == "calls / tasks"
    calls, tasks = metrics["calls"]["MetricStat"], metrics["tasks"]["MetricStat"]
    service = {"Name": ecs.DIMENSION, "Value": "lexbridge-voice"}
    assert calls == {
        "Metric": {"Namespace": ecs.NAMESPACE, "MetricName": ecs.METRIC, "Dimensions": [service]},
        "Stat": "Sum",
    }
    cluster = {"Name": "ClusterName", "Value": "lexbridge"}
    insights = {
        "Namespace": "ECS/ContainerInsights",
        "MetricName": "DesiredTaskCount",
        "Dimensions": [cluster, service],
    }
    assert tasks == {"Metric": insights, "Stat": "Average"}
    assert tracking["TargetValue"] == "40"


def test_the_defaults_leave_headroom() -> None:
    defaults = {name: one.get("Default") for name, one in load(SERVICE)["Parameters"].items()}
    assert defaults["CallsPerTask"] <= 0.7 * defaults["MaxCalls"] * defaults["Workers"]
    assert 2 <= defaults["MinTasks"] < defaults["MaxTasks"]
    assert defaults["DeregistrationDelay"] == 3600


def test_the_simulation_is_of_this_template() -> None:
    defaults = {name: one.get("Default") for name, one in load(SERVICE)["Parameters"].items()}
    ours = (scenarios.MAX_CALLS, scenarios.CALLS_PER_TASK, scenarios.LEAST_TASKS)
    assert ours == (defaults["MaxCalls"], defaults["CallsPerTask"], defaults["MinTasks"])
    assert constants.DEREGISTRATION_S.value == defaults["DeregistrationDelay"]
    tracking = resolved("ScalingPolicy")["TargetTrackingScalingPolicyConfiguration"]
    cooldowns = (tracking["ScaleOutCooldown"], tracking["ScaleInCooldown"])
    assert cooldowns == (constants.OUT_COOLDOWN_S.value, constants.IN_COOLDOWN_S.value)
    deployment = resolved("Service")["DeploymentConfiguration"]
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"] / 100) == (100, constants.SURPLUS.value)
    (container,) = load(SERVICE)["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    assert {"Name": "DRAIN_S", "Value": f"{constants.DRAIN_S.value:g}"} in container["Environment"]


def test_a_task_may_be_told_to_restart_and_is_not_by_itself() -> None:
    assert "ForceNewDeployment" not in resolved("Service")
    again = resolved("Service", Restart="2026-11-23")["ForceNewDeployment"]
    assert again == {"EnableForceNewDeployment": True, "ForceNewDeploymentNonce": "2026-11-23"}


def test_tasks_are_scaled_by_cpu_too() -> None:
    tracking = resolved("CpuScalingPolicy")["TargetTrackingScalingPolicyConfiguration"]
    predefined = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
    assert (tracking["TargetValue"], tracking["PredefinedMetricSpecification"]) == (65, predefined)


def test_only_the_secrets_that_are_there_may_be_read() -> None:
    """The permission names ARNs of secrets that exist.

    The emulator's Ref gives a secret's name where AWS gives its ARN, so this test checks the reference itself.
    """
    names = ("TwilioAuthTokenSecret", "TwilioAuthTokenSecondarySecret", "KeysSecret")
    template = load(SERVICE)
    known = {name: f"arn of {name}" for name in names} | {"LogGroup.Arn": "arn of the log"}
    for parameters, secrets in ((SERVICE_PARAMETERS, names[:1]), (OTHER_PARAMETERS, names)):
        resolver = Resolver(template, parameters, known, {"lexbridge:ExecutionRoleName": "execution"})
        policy = resolver.resolve(template["Resources"]["StartPolicy"]["Properties"])
        assert policy["Roles"] == ["execution"]
        statements = {str(one["Action"]): one["Resource"] for one in policy["PolicyDocument"]["Statement"]}
        assert statements["secretsmanager:GetSecretValue"] == [known[name] for name in secrets]
        has_file = "SettingsFileArn" in parameters
        assert statements.get("s3:GetObject") == (parameters["SettingsFileArn"] if has_file else None)


def test_the_alarm_with_arithmetic_adds_up() -> None:
    alarm = resolved("LexErrorAlarm")
    conforms("cloudwatch", "PutMetricAlarm", alarm | {"AlarmName": "LexErrorAlarm"})
    (expression,) = [metric["Expression"] for metric in alarm["Metrics"] if "Expression" in metric]
    counted = {one["Id"]: one["MetricStat"]["Metric"]["MetricName"] for one in alarm["Metrics"] if "MetricStat" in one}
    assert counted == {"failed": "TurnsFailed", "turns": "Utterances"}
    assert set(re.findall(r"\b[a-z]+\b", expression)) == set(counted)
    filters = [one for one in load(SERVICE)["Resources"].values() if one["Type"] == "AWS::Logs::MetricFilter"]
    written = {one["Properties"]["MetricTransformations"][0]["MetricName"] for one in filters}
    assert set(counted.values()) <= written


# --- the WAF


def web_acl(limit: str = "100") -> Any:
    """Return the properties of the web ACL of core.yml."""
    template = load(CORE)
    resource = template["Resources"]["WebAcl"]
    assert resource["Condition"] == template["Resources"]["WebAclAssociation"]["Condition"] == "StrangersAreLimited"
    resolver = Resolver(template, {"StrangersRateLimit": limit}, {})
    return resolver.resolve(resource["Properties"])


def matches(statement: Any, path: str, headers: dict[str, str]) -> bool:
    """Return whether a statement of AWS WAF matches a request, as AWS documents the kinds that are used here.

    A part that the request does not have has no size.
    """
    ((kind, what),) = statement.items()
    match kind:
        case "NotStatement":
            return not matches(what["Statement"], path, headers)
        case "OrStatement":
            return any(matches(one, path, headers) for one in what["Statements"])
        case "SizeConstraintStatement":
            value = headers.get(what["FieldToMatch"]["SingleHeader"]["Name"])
            assert what["ComparisonOperator"] == "EQ"
            return value is not None and len(value) == what["Size"]
        case "ByteMatchStatement":
            assert (what["FieldToMatch"], what["PositionalConstraint"]) == ({"UriPath": {}}, "EXACTLY")
            return path == what["SearchString"]
    raise AssertionError(f"{kind} is not known here")


def counted_by(path: str, signature: str | None) -> list[str]:
    """Return the rules of the web ACL that count a request."""
    headers = {} if signature is None else {"x-twilio-signature": signature}
    rated = [(rule["Name"], rule["Statement"]["RateBasedStatement"]) for rule in web_acl()["Rules"]]
    return [name for name, statement in rated if matches(statement["ScopeDownStatement"], path, headers)]


def test_the_web_acl_is_one_that_aws_takes() -> None:
    found = web_acl("250")
    unsigned, ready = (rule["Statement"]["RateBasedStatement"] for rule in found["Rules"])
    assert (unsigned["Limit"], unsigned["EvaluationWindowSec"]) == ("250", 300)
    unsigned["Limit"] = 250
    for match in (
        ready["ScopeDownStatement"],
        unsigned["ScopeDownStatement"]["NotStatement"]["Statement"]["OrStatement"]["Statements"][2],
    ):
        match["ByteMatchStatement"]["SearchString"] = match["ByteMatchStatement"]["SearchString"].encode()
    conforms("wafv2", "CreateWebACL", found)
    association = load(CORE)["Resources"]["WebAclAssociation"]["Properties"]
    known = {"LoadBalancer": "the load balancer's ARN", "WebAcl.Arn": "the ARN of the web ACL"}
    conforms("wafv2", "AssociateWebACL", Resolver(load(CORE), {}, known).resolve(association))
    names = [one["VisibilityConfig"]["MetricName"] for one in (found, *found["Rules"])]
    assert names == ["lexbridge-web-acl", "lexbridge-unsigned", "lexbridge-ready"]


@pytest.mark.parametrize("path", ["/twiml", "/twiml/resume", "/twiml/keys", "/stream-status", "/"])
def test_the_waf_never_counts_what_twilio_signs(path: str) -> None:
    sha1 = RequestValidator("token").compute_signature(f"https://voice.example.com{path}", {"CallSid": "CA"})
    sha256 = base64.b64encode(hmac.digest(b"token", path.encode(), "sha256")).decode()
    assert counted_by(path, sha1) == counted_by(path, sha256) == []


@pytest.mark.parametrize("path", ["/twiml", "/", "/stream-status", "/ping", "/nothing", "/ready/", "/READY"])
@pytest.mark.parametrize("signature", [None, "", "x", "x" * 27, "x" * 29, "x" * 43, "x" * 45])
def test_the_waf_counts_what_cannot_be_twilios(path: str, signature: str | None) -> None:
    assert counted_by(path, signature) == ["unsigned"]


def test_tasks_that_drain_may_ask_whether_others_are_there() -> None:
    """The web ACL lets 100 draining tasks behind one address probe /ready once a second each."""
    assert counted_by("/ready", None) == counted_by("/ready", "x" * 28) == ["ready"]
    ready = web_acl()["Rules"][1]["Statement"]["RateBasedStatement"]
    assert ready["Limit"] >= 100 * ready["EvaluationWindowSec"] / PROBE_INTERVAL_S


@pytest.mark.parametrize(("limit", "is_there"), [("0", False), ("10", True), ("100", True)])
def test_there_is_a_waf_only_if_it_is_asked_for(limit: str, is_there: bool) -> None:
    template = load(CORE)
    parameter = template["Parameters"]["StrangersRateLimit"]
    assert parameter["Default"] == "0"
    assert re.fullmatch(parameter["AllowedPattern"], limit)
    resolver = Resolver(template, {"StrangersRateLimit": limit}, {})
    assert resolver.resolve(template["Conditions"]["StrangersAreLimited"]) is is_there


@pytest.mark.parametrize("limit", ["", "-1", "1", "9", "010", "1.5", "many"])
def test_a_limit_that_aws_would_not_take_is_refused_at_once(limit: str) -> None:
    assert not re.fullmatch(load(CORE)["Parameters"]["StrangersRateLimit"]["AllowedPattern"], limit)


# --- the network


def test_private_tasks_have_gateways_and_no_public_address() -> None:
    template = load(CORE)
    private = {name for name, one in template["Resources"].items() if one.get("Condition") == "TasksArePrivate"}
    known = {name: name for name in template["Resources"]}
    for where, address, subnets in (
        ("private", "DISABLED", "PrivateSubnetOne,PrivateSubnetTwo"),
        ("public", "ENABLED", "PublicSubnetOne,PublicSubnetTwo"),
    ):
        resolver = Resolver(template, {"TaskSubnets": where}, known)
        assert resolver.resolve(template["Outputs"]["TaskPublicIp"]["Value"]) == address
        assert resolver.resolve(template["Outputs"]["TaskSubnetIds"]["Value"]) == subnets
    for number in ("One", "Two"):
        route = template["Resources"][f"PrivateRoute{number}"]["Properties"]
        assert route["NatGatewayId"] == {"Ref": f"NatGateway{number}"}
        gateway = template["Resources"][f"NatGateway{number}"]["Properties"]
        assert gateway["SubnetId"] == {"Ref": f"PublicSubnet{number}"}
        assert {f"NatGateway{number}", f"NatAddress{number}", f"PrivateSubnet{number}"} <= private


def test_a_table_of_lines_is_read_and_its_bots_are_asked() -> None:
    """The role may do so with the ARNs of the parameter and with the one object in S3, and nothing else."""
    arns = "arn:aws:lex:eu-west-1:123456789012:bot-alias/ABCDEFGHIJ/KLMNOPQRST,arn:aws:iam::123456789012:role/asks-lex"
    given = {"LinesFile": "s3://tables/voice/lines.toml", "LinesArns": arns}
    template = load(SERVICE)
    resolver = Resolver(template, SERVICE_PARAMETERS | given, {"TaskRole": "role"})
    bots, table = resolver.resolve(template["Resources"]["LinesPolicy"]["Properties"])["PolicyDocument"]["Statement"]
    assert bots["Resource"] == arns.split(",")
    assert bots["Action"][-1] == "sts:AssumeRole"
    assert (table["Action"], table["Resource"]) == ("s3:GetObject", "arn:aws:s3:::tables/voice/lines.toml")
    (container,) = template["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    (place,) = (one["Value"] for one in container["Environment"] if one["Name"] == "LINES_FILE")
    assert resolver.resolve(place) == given["LinesFile"]
    assert not Resolver(template, SERVICE_PARAMETERS)._condition("HasLinesFile")
