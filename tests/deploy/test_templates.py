"""The templates by themselves: linters, a policy of our own, and whether they fit the service."""

import json
import re
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from cloudformation_validate import (
    CompositeEngine,
    CompositeEngineConfig,
    ReportStatus,
    Severity,
    TemplateContent,
    ValidateConfig,
    file_to_external_rule_source,
)

from lexbridge.config.settings import SETTINGS
from lexbridge.offline.commands.bridge_process import ROOT
from lexbridge.twilio.routes import PROBE_PATHS, RELEASE_RULE, SOCKET_PATH, WEBHOOK_PATHS
from tests.support.deploy.stacks import TEMPLATES, load
from tests.support.deploy.tools import BIN, CHECKOV, INSTALL_LIMIT_S, installed

CORE, SERVICE = TEMPLATES / "core.yml", TEMPLATES / "service.yml"
OURS = pytest.mark.parametrize("path", [CORE, SERVICE], ids=lambda path: path.stem)
CARELESS = Path(__file__).parent / "data" / "careless.yml"
POLICY = TEMPLATES / "policy.guard"
pytestmark = pytest.mark.timeout(INSTALL_LIMIT_S + 120)
SETTING = {setting.name: setting for setting in SETTINGS}

# For each rule of ours: a text of our templates and its replacement, which breaks the rule.
BREACHES = [
    (SERVICE, "no_secret_in_environment", "{Name: JOIN, Value: !Ref Join}", "{Name: API_TOKEN, Value: !Ref Join}"),
    (
        SERVICE,
        "no_secret_in_environment",
        "- {Name: JOIN, Value: !Ref Join}",
        "- !If [HasKeys, {Name: SECRET_ACCESS_KEY, Value: !Ref IAMSecretAccessKey}, !Ref AWS::NoValue]",
    ),
    (
        SERVICE,
        "no_secret_in_environment",
        "{Name: JOIN, Value: !Ref Join}",
        "{Name: JOIN, Value: !Ref TwilioAuthToken}",
    ),
    (
        CORE,
        "no_open_port",
        "FromPort: 443, ToPort: 443, CidrIp: 0.0.0.0/0",
        "FromPort: 22, ToPort: 22, CidrIp: 0.0.0.0/0",
    ),
    (CORE, "no_open_port", "FromPort: 443, ToPort: 443, CidrIp", "FromPort: 443, ToPort: 65535, CidrIp"),
    (
        CORE,
        "no_open_port",
        "FromPort: 80, ToPort: 80, CidrIp: 0.0.0.0/0",
        'FromPort: 8080, ToPort: 8080, CidrIpv6: "::/0"',
    ),
    (CORE, "no_open_port", "Lex Twilio and AWS, IpProtocol: tcp", 'Lex Twilio and AWS, IpProtocol: "-1"'),
    (CORE, "https_only", "Type: redirect", "Type: forward"),
    (CORE, "https_only", "RedirectConfig: {Protocol: HTTPS", "RedirectConfig: {Protocol: HTTP"),
    (CORE, "https_only", "SslPolicy: !Ref SslPolicy", "SslPolicy: ELBSecurityPolicy-2016-08"),
    (
        CORE,
        "https_only_by_parameter",
        "- ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
        "- ELBSecurityPolicy-TLS13-1-0-2021-06",
    ),
    (SERVICE, "https_in_url", 'Value: !Sub "https://${DomainName}"}', 'Value: !Sub "http://${DomainName}"}'),
    (SERVICE, "a_role_not_a_key", "      TaskRoleArn: !GetAtt TaskRole.Arn\n", ""),
    (SERVICE, "least_rights", "- lex:GetSession", '- "lex:*"'),
    (SERVICE, "least_rights", "!If [PutsSessions, lex:PutSession,", '!If [PutsSessions, "lex:*",'),
    (SERVICE, "least_rights", "${AWS::AccountId}:${Bot}", "${AWS::AccountId}:*"),
    (SERVICE, "least_rights_beside_roles", "Action: s3:GetObject", 'Action: "s3:*"'),
    (SERVICE, "least_rights_beside_roles", "Resource: !Ref SettingsFileArn", 'Resource: "*"'),
    (SERVICE, "least_rights_beside_roles", "Resource: !GetAtt LogGroup.Arn", 'Resource: "*"'),
    (
        CORE,
        "calls_outlive_the_load_balancer",
        'idle_timeout.timeout_seconds, Value: "120"',
        'idle_timeout.timeout_seconds, Value: "60"',
    ),
    (CORE, "twilio_is_never_limited", "DefaultAction: {Allow: {}}", "DefaultAction: {Block: {}}"),
    (
        CORE,
        "twilio_is_never_limited",
        """              ScopeDownStatement:
                ByteMatchStatement:
                  FieldToMatch: {UriPath: {}}
                  PositionalConstraint: EXACTLY
                  SearchString: /ready
                  TextTransformations: [{Priority: 0, Type: NONE}]
""",
        "",
    ),
    (CORE, "requests_are_not_sampled", "SampledRequestsEnabled: false", "SampledRequestsEnabled: true"),
    (
        CORE,
        "requests_are_not_sampled",
        '-unsigned"\n            SampledRequestsEnabled: false',
        '-unsigned"\n            SampledRequestsEnabled: true',
    ),
    (
        CORE,
        "calls_go_on_without_the_waf",
        '{Key: waf.fail_open.enabled, Value: "true"}',
        '{Key: waf.fail_open.enabled, Value: "false"}',
    ),
    (SERVICE, "calls_outlive_deployments", "Value: !Ref DeregistrationDelay", 'Value: "300"'),
    (SERVICE, "logs_expire", "      RetentionInDays: !Ref LogDays\n", ""),
]


@pytest.fixture(scope="module")
def policy() -> CompositeEngine:
    """Return our own policy rules."""
    return CompositeEngine(CompositeEngineConfig(guard_rules=[file_to_external_rule_source(str(POLICY))]))


@pytest.fixture(scope="module")
def checkov() -> Path:
    """Return the path of the program checkov."""
    return installed(CHECKOV)


def broken_rules(policy: CompositeEngine, template: Path | TemplateContent) -> set[str]:
    config = ValidateConfig(severity_level=Severity.WARN, disable_builtin_rules=True)
    report = policy.validate_template(template, config)
    assert report.status is ReportStatus.OK
    return {one.rule_id for one in report.diagnostics}


@OURS
def test_cfn_lint_finds_nothing(path: Path) -> None:
    found = subprocess.run([BIN / "cfn-lint", path], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@OURS
def test_cloudformation_validate_finds_just_what_is_named(path: Path) -> None:
    report = CompositeEngine().validate_template(path, ValidateConfig(severity_level=Severity.WARN))
    assert report.status is ReportStatus.OK  # not ANALYSIS_INCOMPLETE
    found = {(one.rule_id, one.entity.logical_id if one.entity else "") for one in report.diagnostics}
    skipped = load(path)["Metadata"]["cloudformation-validate"]["skip"]
    assert all(one["comment"] for one in skipped)
    assert found == {(one["id"], name) for one in skipped for name in one["on"]}


@OURS
def test_checkov_finds_nothing_and_each_exception_is_needed(checkov: Path, path: Path) -> None:
    command = [str(checkov), "--file", str(path), "--framework", "cloudformation"]
    command += ["--skip-download", "--compact", "--output", "json"]  # without a request to its maker's server
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    assert found["summary"]["parsing_errors"] == 0
    assert found["summary"]["passed"] > 5
    assert [(one["check_id"], one["resource"]) for one in found["results"]["failed_checks"]] == []
    skipped = {(one["check_id"], one["resource"].rpartition(".")[2]) for one in found["results"]["skipped_checks"]}
    named = {
        (skip["id"], name)
        for name, resource in load(path)["Resources"].items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
        if skip["comment"]
    }
    assert skipped == named


@OURS
def test_our_policy_is_held(policy: CompositeEngine, path: Path) -> None:
    assert broken_rules(policy, path) == set()


def test_a_careless_template_breaks_every_rule(policy: CompositeEngine) -> None:
    rules = set(re.findall(r"^rule (\w+)", POLICY.read_text(encoding="utf-8"), re.MULTILINE))
    # careless.yml has no parameter for the TLS policy; BREACHES has that rule.
    assert broken_rules(policy, CARELESS) == rules - {"https_only_by_parameter"}


@pytest.mark.parametrize(("path", "rule", "ours", "theirs"), BREACHES, ids=lambda value: str(value)[:40])
def test_a_single_breach_is_found(policy: CompositeEngine, path: Path, rule: str, ours: str, theirs: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert ours in text
    assert broken_rules(policy, TemplateContent(text.replace(ours, theirs, 1), path.name)) == {rule}


def test_every_variable_is_one_of_the_services() -> None:
    (container,) = load(SERVICE)["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    plain = [entry["Name"] for entry in container["Environment"]]
    secret = [entry["Fn::If"][1] if "Fn::If" in entry else entry for entry in container["Secrets"]]
    assert set(plain) | {entry["Name"] for entry in secret} <= set(SETTING)
    # The template has no parameter for AWS_SESSION_TOKEN, because the task has a role, and none for the API key's
    # secret, because one more condition would be too much for cloudformation-validate. Those of the console, of events
    # and of the routing hook stand in the settings file.
    in_file = {"CONSOLE_PASSWORD", "EVENTS_SECRET", "ROUTE_SECRET"}
    elsewhere = {"AWS_SESSION_TOKEN", "TWILIO_API_KEY_SECRET", *in_file}
    assert {entry["Name"] for entry in secret} | elsewhere == {name for name, one in SETTING.items() if one.secret}
    assert not any(SETTING[name].secret for name in plain)


@pytest.mark.parametrize(
    ("parameter", "variable", "good", "bad"),
    [
        ("LexBotId", "LEX_BOT_ID", "ABCDEFGHIJ", "ABCDEFGHI"),
        ("LexBotAliasId", "LEX_BOT_ALIAS_ID", "TSTALIASID", "prod"),
        ("LexLocaleId", "LEX_LOCALE_ID", "es_419", "en-US"),
        ("LexBotName", "LEX_BOT_NAME", "OrderFlowers", "Order Flowers"),
        ("LexBotAlias", "LEX_BOT_ALIAS", "$LATEST", "$FIRST"),
        ("LexRegion", "AWS_REGION", "us-gov-west-1", "Oregon"),
        ("WelcomeIntent", "WELCOME_INTENT", "WelcomeIntent", "Welcome Intent"),
        ("TransferFailedIntent", "TRANSFER_FAILED_INTENT", "NobodyThere", "Nobody There"),
        ("MachineIntent", "MACHINE_INTENT", "VoicemailIntent", "Voicemail Intent"),
        ("Vad", "VAD", "silero", "loud"),
        ("LinesFile", "LINES_FILE", "s3://tables/voice/lines.toml", "s3://tables"),
    ],
)
def test_a_parameter_takes_what_the_setting_takes(parameter: str, variable: str, good: str, bad: str) -> None:
    pattern = load(SERVICE)["Parameters"][parameter]["AllowedPattern"]
    assert re.fullmatch(pattern, good)
    assert not re.fullmatch(pattern, bad)
    SETTING[variable].parse(good)
    with pytest.raises(ValueError, match="must be"):
        SETTING[variable].parse(bad)


@pytest.mark.parametrize(
    ("arn", "is_taken"),
    [
        ("arn:aws:lex:us-west-2:123456789012:bot-alias/ABCDEFGHIJ/KLMNOPQRST", True),
        ("arn:aws:lex:us-west-2:123456789012:bot:OrderFlowers:prod", True),
        ("arn:aws:iam::123456789012:role/lexbridge-asks-the-praxis", True),
        ("arn:aws:lex:us-west-2:123456789012:bot-alias/ABCDEFGHIJ/*", False),
        ("arn:aws:iam::123456789012:role/*", False),
        ("*", False),
    ],
)
def test_a_table_reaches_what_is_named_alone(arn: str, is_taken: bool) -> None:
    parameter = load(SERVICE)["Parameters"]["LinesArns"]
    assert parameter["Type"] == "CommaDelimitedList"  # AWS compares the pattern with each of the list
    assert bool(re.fullmatch(parameter["AllowedPattern"], arn)) is is_taken


@pytest.mark.parametrize(("parameter", "variable"), [("ReplyMode", "REPLY_MODE"), ("Join", "JOIN")])
def test_every_choice_is_one_of_the_settings(parameter: str, variable: str) -> None:
    for choice in load(SERVICE)["Parameters"][parameter]["AllowedValues"]:
        SETTING[variable].parse(choice)


@pytest.mark.parametrize(
    ("image", "is_taken"),
    [
        ("123456789012.dkr.ecr.us-west-2.amazonaws.com/lexbridge:1.2.0", True),
        ("localhost:5000/lexbridge:latest-but-one", True),
        ("example.com/lexbridge@sha256:" + "0" * 64, True),
        ("123456789012.dkr.ecr.us-west-2.amazonaws.com/lexbridge:latest", False),
        ("localhost:5000/lexbridge:latest", False),
        ("123456789012.dkr.ecr.us-west-2.amazonaws.com/lexbridge", False),
    ],
)
def test_an_image_is_named_by_what_does_not_change(image: str, is_taken: bool) -> None:
    pattern = load(SERVICE)["Parameters"]["ImageUrl"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, image)) is is_taken


def test_the_listener_lets_through_only_what_twilio_calls() -> None:
    routes = {*WEBHOOK_PATHS, *PROBE_PATHS, SOCKET_PATH}
    host, paths = load(SERVICE)["Resources"]["ListenerRule"]["Properties"]["Conditions"]
    patterns = paths["PathPatternConfig"]["Values"]
    assert len(host["HostHeaderConfig"]["Values"] + patterns) <= 5  # ELB's limit for a rule
    assert {route for route in routes if not any(fnmatchcase(route, one) for one in patterns)} == {"/ping"}


def test_a_second_rule_lets_releases_through() -> None:
    rule = load(SERVICE)["Resources"]["ReleaseRule"]
    host, paths, method = rule["Properties"]["Conditions"]
    path = RELEASE_RULE.replace("<call_sid>", "CA" + "1" * 32)
    assert fnmatchcase(path, paths["PathPatternConfig"]["Values"][0])
    assert not any(fnmatchcase(one, paths["PathPatternConfig"]["Values"][0]) for one in (*WEBHOOK_PATHS, "/calls"))
    assert method["HttpRequestMethodConfig"]["Values"] == ["POST"]
    assert host == load(SERVICE)["Resources"]["ListenerRule"]["Properties"]["Conditions"][0]


def test_the_log_lines_that_are_counted_are_written() -> None:
    resources = load(SERVICE)["Resources"].values()
    patterns = [one["Properties"]["FilterPattern"] for one in resources if one["Type"] == "AWS::Logs::MetricFilter"]
    events = [re.fullmatch(r'\{ \$\.event = "([a-z-]+)" \}', pattern) for pattern in patterns]
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "lexbridge").rglob("*.py"))
    assert len(events) == 5
    for event in events:
        assert event is not None
        assert f'"{event[1]}"' in source


@pytest.mark.parametrize("template", [CORE, SERVICE], ids=["core", "service"])
def test_what_is_imported_is_exported(template: Path) -> None:
    exported = {one["Export"]["Name"]["Fn::Sub"] for one in load(CORE)["Outputs"].values()}
    imported = set(re.findall(r'Fn::ImportValue: !Sub "([^"]+)"', template.read_text(encoding="utf-8")))
    assert imported <= exported
    assert bool(imported) is (template == SERVICE)
