"""Both stacks in an emulator of AWS: created, read back through its APIs, and deleted.

The emulator does not know Application Auto Scaling, alarms with arithmetic, NAT gateways and the WAF. They are left out
here; test_service_models.py compares them with AWS's service models.
"""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.deploy.stacks import (
    ACCOUNT,
    CORE_PARAMETERS,
    OTHER_PARAMETERS,
    REGION,
    SERVICE_PARAMETERS,
    TEMPLATES,
    Aws,
    load,
    service_template,
)
from tests.support.deploy.tools import INSTALL_LIMIT_S

pytestmark = pytest.mark.timeout(INSTALL_LIMIT_S + 120)


def attributes(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["Key"]: pair["Value"] for pair in pairs}


# --- core


def test_core_exports_what_it_should(aws: Aws, core: dict[str, str]) -> None:
    exports = {name: value for name, value in aws.exports().items() if name.startswith("lexbridge:")}
    assert exports == {f"lexbridge:{name}": value for name, value in core.items()}
    (balancer,) = aws.client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert core["ExternalUrl"] == f"https://{balancer['DNSName']}"
    assert core["RepositoryUri"] == f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/lexbridge"


def test_the_listeners_speak_tls_and_redirect_to_it(aws: Aws, core: dict[str, str]) -> None:
    elb = aws.client("elbv2")
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    http, https = sorted(listeners, key=lambda listener: listener["Port"])
    assert (https["Port"], https["Protocol"], https["ListenerArn"]) == (443, "HTTPS", core["HttpsListenerArn"])
    assert https["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    assert https["Certificates"] == [CORE_PARAMETERS]
    assert https["DefaultActions"][0]["FixedResponseConfig"]["StatusCode"] == "404"
    assert (http["Port"], http["Protocol"]) == (80, "HTTP")
    (action,) = http["DefaultActions"]
    assert action["Type"] == "redirect"
    redirect = action["RedirectConfig"]
    assert (redirect["Protocol"], redirect["Port"], redirect["StatusCode"]) == ("HTTPS", "443", "HTTP_301")


def test_the_load_balancer_is_kept_and_keeps_sockets(aws: Aws, core: dict[str, str]) -> None:
    elb = aws.client("elbv2")
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    found = elb.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])
    bucket = aws.resources("lexbridge-core")["AccessLogs"]
    assert attributes(found["Attributes"]) == {
        "idle_timeout.timeout_seconds": "120",
        "routing.http.drop_invalid_header_fields.enabled": "true",
        "routing.http.desync_mitigation_mode": "defensive",
        "deletion_protection.enabled": "true",
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": bucket,
        "waf.fail_open.enabled": "true",
    }
    statements = json.loads(aws.client("s3").get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert [one["Sid"] for one in statements] == ["LoadBalancerWrites", "OnlyOverTls"]


def test_only_the_load_balancer_reaches_tasks(aws: Aws, core: dict[str, str]) -> None:
    made = aws.resources("lexbridge-core")
    groups = aws.client("ec2").describe_security_groups()["SecurityGroups"]
    group = {one["GroupId"]: one for one in groups}
    balancer, task = group[made["LoadBalancerSecurityGroup"]], group[made["TaskSecurityGroup"]]
    assert ports(balancer["IpPermissions"]) == {(443, 443, "0.0.0.0/0"), (80, 80, "0.0.0.0/0")}
    assert ports(balancer["IpPermissionsEgress"]) == {(8080, 8080, "10.0.0.0/16")}
    assert ports(task["IpPermissions"]) == {(8080, 8080, balancer["GroupId"])}
    assert ports(task["IpPermissionsEgress"]) == {(443, 443, "0.0.0.0/0")}


def ports(permissions: list[dict[str, Any]]) -> set[tuple[int, int, str]]:
    """Return the first port, the last port, and the address or security group of each rule."""
    assert {one["IpProtocol"] for one in permissions} == {"tcp"}
    found = set()
    for one in permissions:
        who = [entry["CidrIp"] for entry in one["IpRanges"]] + [entry["GroupId"] for entry in one["UserIdGroupPairs"]]
        found |= {(one["FromPort"], one["ToPort"], name) for name in who}
    return found


def test_the_cluster_has_insights_and_images_stay_what_they_are(aws: Aws, core: dict[str, str]) -> None:
    (cluster,) = aws.client("ecs").describe_clusters(clusters=[core["ClusterName"]], include=["SETTINGS"])["clusters"]
    assert cluster["settings"] == [{"name": "containerInsights", "value": "enabled"}]
    ecr = aws.client("ecr")
    (repository,) = ecr.describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = json.loads(ecr.get_lifecycle_policy(repositoryName="lexbridge")["lifecyclePolicyText"])
    assert [rule["selection"]["tagStatus"] for rule in policy["rules"]] == ["untagged", "any"]


# --- service


def test_the_service_is_behind_the_load_balancer(aws: Aws, service: dict[str, str], core: dict[str, str]) -> None:
    elb = aws.client("elbv2")
    rules = elb.describe_rules(ListenerArn=core["HttpsListenerArn"])["Rules"]
    (rule,) = [one for one in rules if one["Priority"] == "10"]
    host, path = rule["Conditions"]
    assert host["HostHeaderConfig"]["Values"] == ["voice.example.com"]
    assert path["PathPatternConfig"]["Values"] == ["/", "/twiml*", "/stream-status", "/ready"]
    assert [action["TargetGroupArn"] for action in rule["Actions"]] == [service["TargetGroupArn"]]
    (group,) = elb.describe_target_groups(TargetGroupArns=[service["TargetGroupArn"]])["TargetGroups"]
    assert (group["TargetType"], group["Protocol"], group["Port"]) == ("ip", "HTTP", 8080)
    health = [group[f"HealthCheck{what}"] for what in ("Path", "IntervalSeconds", "TimeoutSeconds")]
    assert [*health, group["UnhealthyThresholdCount"], group["Matcher"]] == ["/ping", 10, 5, 3, {"HttpCode": "200"}]
    found = elb.describe_target_group_attributes(TargetGroupArn=service["TargetGroupArn"])
    assert attributes(found["Attributes"]) == {
        "stickiness.enabled": "true",
        "stickiness.type": "lb_cookie",
        "stickiness.lb_cookie.duration_seconds": "3600",
        "load_balancing.algorithm.type": "least_outstanding_requests",
        "deregistration_delay.timeout_seconds": "3600",
    }


def test_the_ecs_service_deploys_without_a_gap(aws: Aws, service: dict[str, str], core: dict[str, str]) -> None:
    services = aws.client("ecs").describe_services(cluster="lexbridge", services=[service["ServiceName"]])
    (found,) = services["services"]
    assert (found["status"], found["launchType"]) == ("ACTIVE", "FARGATE")
    assert found["deploymentConfiguration"] == {
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
    }
    network = found["networkConfiguration"]["awsvpcConfiguration"]
    assert network["subnets"] == core["TaskSubnetIds"].split(",")
    assert network["securityGroups"] == [core["TaskSecurityGroupId"]]
    assert network["assignPublicIp"] == "ENABLED"
    assert [one["targetGroupArn"] for one in found["loadBalancers"]] == [service["TargetGroupArn"]]


@pytest.mark.parametrize(("name", "days"), [("voice", 30), ("second", 90)])
def test_the_log_expires(aws: Aws, service: dict[str, str], other: dict[str, str], name: str, days: int) -> None:
    logs = aws.client("logs")
    (group,) = logs.describe_log_groups(logGroupNamePrefix=f"/ecs/lexbridge-{name}")["logGroups"]
    assert group["retentionInDays"] == days
    filters = logs.describe_metric_filters(logGroupName=group["logGroupName"])["metricFilters"]
    counted = {one["metricTransformations"][0]["metricName"] for one in filters}
    assert counted == {"CallsAnswered", "CallsRefused", "CallsResumed", "Utterances", "TurnsFailed"}
    assert {one["metricTransformations"][0]["metricNamespace"] for one in filters} == {f"lexbridge/lexbridge-{name}"}


def test_alarms_and_a_dashboard_are_there(aws: Aws, service: dict[str, str], other: dict[str, str]) -> None:
    cloudwatch = aws.client("cloudwatch")
    made = aws.resources("lexbridge-voice"), aws.resources("lexbridge-second")
    alarms = {one["AlarmName"]: one for one in cloudwatch.describe_alarms()["MetricAlarms"]}
    for name in ("UnhealthyAlarm", "TaskErrorAlarm", "LoadBalancerErrorAlarm", "RefusedAlarm"):
        assert alarms[made[0][name]]["AlarmActions"] == []
        assert alarms[made[1][name]]["AlarmActions"] == [OTHER_PARAMETERS["AlarmTopicArn"]]
    body = cloudwatch.get_dashboard(DashboardName=service["ServiceName"])["DashboardBody"]
    widgets = json.loads(body)["widgets"]
    assert "${" not in body
    held, calls, *_ = widgets[0]["properties"]["metrics"]
    assert held[0]["expression"] == "calls / tasks"  # the value that the scaling policy controls
    assert calls[:4] == ["lexbridge", "ActiveCallsPerTask", "ServiceName", "lexbridge-voice"]


def test_the_domain_leads_to_the_load_balancer(
    aws: Aws, other: dict[str, str], core: dict[str, str], zone: str
) -> None:
    records = aws.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    (record,) = [one for one in records if one["Name"] == "second.example.com."]
    assert record["Type"] == "A"
    assert record["AliasTarget"]["DNSName"].rstrip(".") == core["LoadBalancerDnsName"]
    assert record["AliasTarget"]["HostedZoneId"] == core["LoadBalancerHostedZoneId"]


# --- refused parameters, and deletion


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"LexBotName": "OrderFlowers", "LexBotAlias": "prod"}, "Give one bot"),
        ({"LexBotId": "", "LexBotAliasId": ""}, "Give one bot"),
        ({"LexBotAliasId": ""}, "Give one bot"),
        ({"LinesFile": "s3://tables/lines.toml"}, "give LinesArns"),
        ({"IAMAccessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "both, or neither"),
        ({"IAMAccessKeyId": "ASIAIOSFODNN7EXAMPLE", "IAMSecretAccessKey": "x" * 40}, "does not begin with ASIA"),
        ({"CpuArchitecture": "ARM64"}, "On ARM64 the image has no model"),
        ({"Cpu": "4096"}, "With Cpu 4096, Memory must be 8192"),
        ({"Cpu": "256", "Memory": "4096"}, "With Cpu 256"),
        ({"ImageUrl": "example.com/lexbridge:latest"}, "must end in a tag or a digest"),
        ({"DomainName": "https://voice.example.com"}, "must be a host name"),
    ],
)
def test_parameters_that_cannot_work_are_refused(
    aws: Aws, core: dict[str, str], parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        aws.create("lexbridge-third", service_template(), SERVICE_PARAMETERS | parameters)


def test_both_stacks_go_and_leave_the_access_logs_alone(
    aws: Aws, core: dict[str, str], service: dict[str, str], other: dict[str, str]
) -> None:
    bucket = aws.resources("lexbridge-core")["AccessLogs"]
    aws.delete("lexbridge-second")
    aws.delete("lexbridge-voice")
    assert aws.client("secretsmanager").list_secrets()["SecretList"] == []
    assert aws.client("logs").describe_log_groups(logGroupNamePrefix="/ecs/")["logGroups"] == []
    assert aws.client("elbv2").describe_target_groups()["TargetGroups"] == []
    left = aws.client("iam").list_role_policies(RoleName=core["ExecutionRoleName"])["PolicyNames"]
    assert left == ["pull-image"]
    # In the README's order: first switch off the load balancer's protection, then delete the stack.
    aws.update("lexbridge-core", load(TEMPLATES / "core.yml"), CORE_PARAMETERS | {"DeletionProtection": "false"})
    elb = aws.client("elbv2")
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    found = elb.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])
    assert attributes(found["Attributes"])["deletion_protection.enabled"] == "false"
    aws.delete("lexbridge-core")
    assert aws.exports() == {}
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    assert aws.client("iam").list_roles()["Roles"] == []
    assert aws.client("ecr").describe_repositories()["repositories"] == []
    assert [one["Name"] for one in aws.client("s3").list_buckets()["Buckets"]] == [bucket]
