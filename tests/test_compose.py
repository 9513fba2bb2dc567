"""The services of compose.yaml run commands that exist, with settings that are accepted."""

import pytest
import yaml

from lexbridge.config.reading import read_settings
from lexbridge.config.settings import SETTINGS
from lexbridge.offline.__main__ import COMMANDS
from lexbridge.offline.commands.bridge_process import ROOT
from lexbridge.offline.lex.bot_files import shipped_bots
from tests.support.compose_file import services


def test_a_token_alone_is_enough_for_the_bridge() -> None:
    """The compose file's bridge needs no other setting to serve a bot that its local Lex has."""
    environment = services({"TWILIO_AUTH_TOKEN": "anything"})["bridge"]["environment"]
    assert set(environment) <= {setting.name for setting in SETTINGS}
    settings = read_settings(environment)
    assert environment["LEX_BOT_ID"] in {bot.v2_id for bot in shipped_bots()}
    assert (settings.service.url, settings.line.vad) == ("http://127.0.0.1:8080", "amplitude")


def test_a_token_that_everybody_knows_is_nobodys_default() -> None:
    with pytest.raises(LookupError, match="TWILIO_AUTH_TOKEN"):
        services({})


def test_two_variables_open_the_console_to_this_machine_alone() -> None:
    made = services({"TWILIO_AUTH_TOKEN": "anything"})["bridge"]
    assert (read_settings(made["environment"]).service.admin_host, made["environment"]["CONSOLE_PASSWORD"]) == (
        "127.0.0.1",
        "",
    )
    variables = {"ADMIN_HOST": "0.0.0.0", "CONSOLE_PASSWORD": "twelve characters"}
    opened = services({"TWILIO_AUTH_TOKEN": "anything", **variables})["bridge"]
    settings = read_settings(opened["environment"])
    assert (settings.service.admin_host, settings.service.console_password) == tuple(variables.values())
    assert f"127.0.0.1:{settings.service.admin_port}:{settings.service.admin_port}" in opened["ports"]


def test_the_bridge_has_time_to_drain_and_no_way_to_write() -> None:
    bridge = services({"TWILIO_AUTH_TOKEN": "anything"})["bridge"]
    assert bridge["stop_grace_period"] == "2m"
    assert read_settings(bridge["environment"]).service.drain_s < 120
    for service in services({"TWILIO_AUTH_TOKEN": "anything"}).values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_the_other_services_run_commands_that_exist() -> None:
    """The services beside the bridge run offline commands, and find each other by their names."""
    made = services({"TWILIO_AUTH_TOKEN": "anything"})
    for name in ("lex", "caller"):
        assert made[name]["command"][0] in COMMANDS
        assert (ROOT / made[name]["build"]["dockerfile"]).is_file()
    lex_port = made["lex"]["command"][made["lex"]["command"].index("--port") + 1]
    assert made["bridge"]["environment"]["AWS_ENDPOINT_URL_LEX_RUNTIME_V2"] == f"http://lex:{lex_port}"
    assert made["caller"]["network_mode"] == "service:bridge"


def test_prometheus_and_grafana_find_each_other_and_the_bridge() -> None:
    """With the profile `metrics`, Prometheus scrapes the bridge, and Grafana shows the dashboard at once."""
    made = services({"TWILIO_AUTH_TOKEN": "anything"})
    prometheus, grafana = made["prometheus"], made["grafana"]
    assert prometheus["profiles"] == grafana["profiles"] == ["metrics"]
    scraped = yaml.safe_load((ROOT / "docs/prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    assert scraped[0]["static_configs"][0]["targets"] == [f"127.0.0.1:{made['bridge']['environment']['ADMIN_PORT']}"]
    # They share one network, so the bridge's service opens Prometheus' port, and Grafana finds it by the bridge's name.
    assert prometheus["network_mode"] == "service:bridge"
    assert "127.0.0.1:9090:9090" in made["bridge"]["ports"]
    (source,) = yaml.safe_load((ROOT / "docs/grafana/datasources.yml").read_text(encoding="utf-8"))["datasources"]
    assert source["url"] == "http://bridge:9090"
    mounts = [volume.split(":") for volume in [*prometheus["volumes"], *grafana["volumes"]]]
    assert all((ROOT / source).exists() and mode == "ro" for source, _, mode in mounts)
    targets = {target for _, target, _ in mounts}
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] in targets
    (provider,) = yaml.safe_load((ROOT / "docs/grafana/dashboards.yml").read_text(encoding="utf-8"))["providers"]
    assert f"{provider['options']['path']}/lexbridge.json" in targets
    folders = [target for target in targets if f"--config.file={target}/prometheus.yml" in prometheus["command"]]
    assert folders == ["/etc/lexbridge"]
