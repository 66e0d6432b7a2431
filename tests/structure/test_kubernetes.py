"""The manifests are what Kubernetes' published schemas allow, name only what exists, and hold no secret."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import all_versions, major_minor
from pydantic import SecretStr

from api.routes import health
from api.schemas.fields import LONGEST_WAIT_S
from api.server import GRACE_S
from dashboard import server
from orchestrator.core.session import SECOND
from orchestrator.settings import Settings
from orchestrator.store.limits import Limits
from tests.structure.commands import unknown_options
from tests.structure.settings import variables
from tests.structure.test_requirements import PROJECT
from tests.structure.tree import ROOT
from tests.support.image import stages
from workers.timing import check_limit

Manifest = dict[str, Any]

FOLDER: Final = ROOT / "deploy" / "kubernetes"
VERSIONS: Final = ("1.30", major_minor(all_versions()[-1]))
"""The first that can wait before an end without a shell (`preStop.sleep`), and the newest there is a schema of."""

SECRET: Final = "zapwright"
HTTP: Final = 80
STRICT: Final[Manifest] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def read(path: Path) -> list[Manifest]:
    """Give the documents of a file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


MANIFESTS: Final = {
    f"{manifest['kind']} {manifest['metadata']['name']}": manifest
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for manifest in read(path)
}
(KUSTOMIZATION,) = read(FOLDER / "kustomization.yaml")
SETTINGS: Final[dict[str, str]] = MANIFESTS["ConfigMap zapwright"]["data"]
DEPLOYMENTS: Final = {
    name.removeprefix("Deployment zapwright-"): manifest
    for name, manifest in MANIFESTS.items()
    if manifest["kind"] == "Deployment"
}
every_deployment: Final = pytest.mark.parametrize("name", sorted(DEPLOYMENTS))


def pod(name: str) -> Manifest:
    """Give what a pod is made of."""
    made: Manifest = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    return made


def container(name: str) -> Manifest:
    """Give a pod's only container."""
    (only,) = pod(name)["containers"]
    made: Manifest = only
    return made


def from_secrets(name: str) -> dict[str, str]:
    """Give the variables of a container that come from the Secret, with their keys in it."""
    references = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container(name).get("env", [])}
    assert {reference["name"] for reference in references.values()} <= {SECRET}
    return {variable: reference["key"] for variable, reference in references.items()}


def values(value: object) -> Iterator[str]:
    """Give every text in a document."""
    match value:
        case dict():
            for inner in value.values():
                yield from values(inner)
        case list():
            for inner in value:
                yield from values(inner)
        case _:
            yield str(value)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_a_manifest_is_what_the_published_schema_allows(name: str, version: str) -> None:
    """Strictly: a key that Kubernetes would drop in silence is an error."""
    assert kubernetes_validate.validate(MANIFESTS[name], version, strict=True) == version


def test_a_misspelt_key_is_found() -> None:
    """The rule bites."""
    manifest = MANIFESTS["Service zapwright-api"]

    with pytest.raises(kubernetes_validate.ValidationError, match="selects"):
        kubernetes_validate.validate(manifest | {"spec": {"selects": {}}}, VERSIONS[-1], strict=True)


def test_everything_but_the_example_is_applied() -> None:
    """`kubectl apply -k` leaves out the Ingress, in which there is something to change first."""
    applied = {*KUSTOMIZATION["resources"], "ingress.yaml", "kustomization.yaml"}

    assert applied == {path.name for path in FOLDER.glob("*.yaml")}


def test_the_image_is_this_version() -> None:
    """And its name is told in one place."""
    (image,) = KUSTOMIZATION["images"]

    assert image["newTag"] == PROJECT["project"]["version"]
    assert {container(name)["image"] for name in DEPLOYMENTS} == {image["name"]}


@every_deployment
def test_a_deployment_starts_a_command_that_exists(name: str) -> None:
    """With options that exist."""
    assert unknown_options(container(name)["args"]) == set()


@every_deployment
def test_settings_exist_and_no_two_places_set_the_same(name: str) -> None:
    """A misspelt variable would be ignored in silence."""
    secret = from_secrets(name).keys()

    assert (secret | SETTINGS.keys()) - variables() == set()
    assert secret & SETTINGS.keys() == set()


def test_settings_are_accepted() -> None:
    """A process that is started with them does not refuse them."""
    given = {_field(variable): value for variable, value in SETTINGS.items()}

    assert Settings(**given).model_fields_set >= given.keys()  # type: ignore[arg-type]


def test_every_secret_comes_from_the_secret() -> None:
    """What is a secret to the settings is a reference here, in every process that needs it, and a value nowhere."""
    secret = {
        variable
        for variable in variables()
        if SecretStr.__name__ in str(Settings.model_fields[_field(variable)].annotation)
    }

    assert set().union(*(from_secrets(name) for name in DEPLOYMENTS)) == secret
    assert secret & SETTINGS.keys() == set()
    assert not any(manifest["kind"] == "Secret" for manifest in MANIFESTS.values())


def test_the_page_beside_them_names_every_key() -> None:
    """Whoever makes the Secret reads it."""
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = {(variable, key) for name in DEPLOYMENTS for variable, key in from_secrets(name).items()}

    assert {row for row in rows if f"| `{row[1]}` | `{row[0]}`" not in page} == set()


def test_processes_agree_on_where_a_secret_is() -> None:
    """The same variable comes from the same key."""
    found = [from_secrets(name) for name in DEPLOYMENTS]
    pairs = {pair for variables_of_one in found for pair in variables_of_one.items()}

    assert len(pairs) == len(dict(pairs))


@every_deployment
def test_a_pod_may_do_nothing_but_its_work(name: str) -> None:
    """No root, no token, nothing to write but what is named, and no variable that Kubernetes makes of a Service.

    The last would be `ZAPWRIGHT_API_PORT`, in which we expect a number.
    """
    security = pod(name)["securityContext"]

    assert container(name)["securityContext"] == STRICT
    assert security["runAsNonRoot"]
    assert str(security["runAsUser"]) == stages()[1].one("USER")
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(name)["automountServiceAccountToken"] is False
    assert pod(name)["enableServiceLinks"] is False


@every_deployment
def test_a_pod_may_finish_what_is_under_way(name: str) -> None:
    """Kubernetes kills nothing that would still end by itself, the wait before the end included."""
    before = container(name).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    longest = {"api": GRACE_S, "worker": check_limit(Limits(), pages=2) // SECOND, "dashboard": server.GRACE_S}[name]

    assert pod(name)["terminationGracePeriodSeconds"] >= before + longest + 5


@every_deployment
def test_a_pod_is_started_again_when_it_hangs_and_has_room(name: str) -> None:
    """Each has a start-up and a liveness probe, asks for what it uses, and is kept from taking all the memory."""
    resources = container(name)["resources"]

    assert {"startupProbe", "livenessProbe"} <= container(name).keys()
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"].keys() == {"memory"}


def test_probes_ask_what_the_api_answers() -> None:
    """A store that is away makes it not ready; that is no reason to start it again."""
    api = container("api")
    paths = {kind: api[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}

    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert set(paths.values()) <= {route.path for route in health.router.routes}  # type: ignore[attr-defined]
    assert api["readinessProbe"]["timeoutSeconds"] > health.STORE_LIMIT_S


def test_a_worker_is_asked_as_in_compose() -> None:
    """tests/acceptance/test_image.py runs that very command."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["worker"]
    worker = container("worker")

    assert worker["args"] == compose["command"]
    assert worker["livenessProbe"]["exec"]["command"] == compose["healthcheck"]["test"][1:]
    assert worker["startupProbe"]["exec"]["command"] == worker["livenessProbe"]["exec"]["command"]


def test_traffic_finds_its_way() -> None:
    """Ingress to Service, Service to port, port to the one the image listens at; selectors to the labels of pods."""
    service = MANIFESTS["Service zapwright-api"]["spec"]
    published = MANIFESTS["Ingress zapwright"]["spec"]["rules"][0]["http"]["paths"]
    (port,) = container("api")["ports"]
    labels = DEPLOYMENTS["api"]["spec"]["template"]["metadata"]["labels"]

    backend = {"name": "zapwright-api", "port": {"name": service["ports"][0]["name"]}}
    assert [path["backend"]["service"] for path in published] == [backend] * len(published)
    assert service["ports"][0]["targetPort"] == port["name"]
    assert str(port["containerPort"]) == stages()[1].environment["ZAPWRIGHT_API_PORT"]
    assert service["selector"] == labels
    assert MANIFESTS["PodDisruptionBudget zapwright-api"]["spec"]["selector"]["matchLabels"] == labels


def test_the_dashboard_has_no_secret_and_finds_the_api() -> None:
    """By the API's Service; its own Service leads to the port that the image listens at."""
    (port,) = container("dashboard")["ports"]
    services = {name: MANIFESTS[f"Service {name}"]["spec"] for name in ("zapwright-api", "zapwright-dashboard")}
    host = SETTINGS["ZAPWRIGHT_API_URL"].removeprefix("http://")

    assert from_secrets("dashboard") == {}
    assert services[host]["ports"][0]["port"] == HTTP
    assert services["zapwright-dashboard"]["ports"][0]["targetPort"] == port["name"]
    assert str(port["containerPort"]) == stages()[1].environment["ZAPWRIGHT_DASHBOARD_PORT"]
    assert services["zapwright-dashboard"]["selector"] == DEPLOYMENTS["dashboard"]["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS.keys() - {"dashboard"}))
def test_pods_spread_over_hosts(name: str) -> None:
    """One host's end is not the end of all of them."""
    labels = DEPLOYMENTS[name]["spec"]["template"]["metadata"]["labels"]
    (spread,) = pod(name)["topologySpreadConstraints"]

    assert DEPLOYMENTS[name]["spec"]["selector"]["matchLabels"] == labels
    assert spread["labelSelector"]["matchLabels"] == labels
    assert DEPLOYMENTS[name]["spec"]["replicas"] > 1


def test_streams_pass_unbuffered_and_only_what_others_use_is_published() -> None:
    """A proxy waits longer than a long poll does, and passes on what comes when it comes; metrics stay inside."""
    ingress = MANIFESTS["Ingress zapwright"]
    annotations = ingress["metadata"]["annotations"]
    paths = [path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]

    assert {value for name, value in annotations.items() if name.endswith("proxy-buffering")} == {"off", "false"}
    assert all(int(value.rstrip("s")) > LONGEST_WAIT_S for name, value in annotations.items() if "timeout" in name)
    assert paths == ["/v1", "/web", "/connect", "/zapier-sign-in"]


def test_pages_are_told_the_address_that_is_published() -> None:
    """A backend asks for their tokens inside, where the API has another address."""
    (host,) = (rule["host"] for rule in MANIFESTS["Ingress zapwright"]["spec"]["rules"])

    assert SETTINGS["ZAPWRIGHT_PUBLIC_API_URL"] == f"https://{host}"


def test_the_only_hosts_are_examples() -> None:
    """Nobody's own."""
    texts = {text for manifest in [*MANIFESTS.values(), KUSTOMIZATION] for text in values(manifest)}
    hosts = {text for text in texts if text.endswith((".com", "/zapwright")) and "/v1" not in text}

    assert hosts == {
        "zapwright.example.com",
        "https://zapwright.example.com",
        "https://app.example.com",
        "registry.example.com/zapwright",
    }


def _field(variable: str) -> str:
    return variable.removeprefix("ZAPWRIGHT_").lower()
