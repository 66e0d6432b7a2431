"""The command line. Each command imports what it runs, so that help comes at once."""

from __future__ import annotations

import sys
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import CommandError

app = typer.Typer(
    name="zapwright",
    help="Let your users build Zaps inside your product, without losing the account they just connected.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
sessions = typer.Typer(
    help="Look at sessions and, with an operator's key, help them; through the API.", no_args_is_help=True
)
app.add_typer(sessions, name="sessions")
tenants = typer.Typer(help="The companies that use this deployment; one alone needs none.", no_args_is_help=True)
app.add_typer(tenants, name="tenants")
api_keys = typer.Typer(help="What backends and operators are known by.", no_args_is_help=True)
app.add_typer(api_keys, name="api-keys")
webhooks = typer.Typer(
    help="Where events are sent, and what came of it, through the API. Lists and deliveries take an operator's key, "
    "all else takes the one of the tenant's backend.",
    no_args_is_help=True,
)
app.add_typer(webhooks, name="webhooks")
keys = typer.Typer(help="The keys that users' tokens are encrypted with.", no_args_is_help=True)
app.add_typer(keys, name="keys")

LONGEST_REASON = 500
_KEPT = "Where everything is kept."
_A_PLACE = ".zapwright/demo, or with --once a place that is removed"

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help=_KEPT, show_default="ZAPWRIGHT_DATA_DIR or .zapwright")
]
DemoDir = Annotated[Path | None, typer.Option("--data-dir", help=_KEPT, show_default=_A_PLACE)]
WorldDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where its world is kept.", show_default="simulator in ZAPWRIGHT_DATA_DIR"),
]
ApiPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Where the API listens.", show_default="as before, else 8700")
]
SimulatorPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Where the simulator listens.", show_default="as before, else 8089")
]
DashboardPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Where the dashboard listens.", show_default="as before, else 8710")
]
Workers = Annotated[int, typer.Option(min=1, max=64, help="How many worker processes.")]
ApiHost = Annotated[
    str | None, typer.Option("--host", help="The address to listen on.", show_default="ZAPWRIGHT_API_HOST")
]
Port = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="The port to listen on.", show_default="ZAPWRIGHT_API_PORT"),
]
OwnHost = Annotated[
    str | None, typer.Option("--host", help="The address to listen on.", show_default="ZAPWRIGHT_DASHBOARD_HOST")
]
OwnPort = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="The port to listen on.", show_default="ZAPWRIGHT_DASHBOARD_PORT"),
]
AliveFile = Annotated[
    Path | None,
    typer.Option("--alive-file", help="A file to touch every five seconds, for health checks.", show_default="none"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="The session's id.", show_default=False)]
AuthenticationId = Annotated[
    str, typer.Argument(metavar="AUTHENTICATION", help="Its id, as Zapier lists it for the user.", show_default=False)
]
TenantId = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.", show_default=False)]
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="The key's id, as it is listed.", show_default=False)]
Url = Annotated[str, typer.Argument(metavar="URL", help="Where they are sent.", show_default=False)]


@app.callback(invoke_without_command=True)
def _program(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if show_version:
        typer.echo(f"zapwright {version('zapwright')}")
        raise typer.Exit


@app.command()
def up(
    data_dir: DataDir = None,
    api_port: ApiPort = None,
    simulator_port: SimulatorPort = None,
    dashboard_port: DashboardPort = None,
    workers: Workers = 2,
) -> None:
    """Start store, API, workers, dashboard and, without a real upstream, the simulator; keep them until Ctrl-C."""
    from cli.plan import Wishes
    from cli.up import run_up

    wishes = Wishes(
        data_dir=data_dir,
        api_port=api_port,
        simulator_port=simulator_port,
        dashboard_port=dashboard_port,
        workers=workers,
    )
    raise typer.Exit(run_up(wishes))


@app.command()
def demo(
    data_dir: DemoDir = None,
    once: Annotated[bool, typer.Option("--once", help="Exit when the demo has ended.")] = False,
    calls: Annotated[
        bool, typer.Option("--calls", help="Build another Zap, say what each call to Zapier was for, and exit.")
    ] = False,
) -> None:
    """Walk a Zap through everything that can happen to a popup, with a worker killed on the way."""
    from cli.demo import run_calls, run_demo

    raise typer.Exit(run_calls(data_dir) if calls else run_demo(data_dir, once=once))


@app.command()
def api(host: ApiHost = None, port: Port = None) -> None:
    """Run one API process on the store at REDIS_URL."""
    from cli.processes import run_api

    raise typer.Exit(run_api(host=host, port=port))


@app.command()
def worker(alive_file: AliveFile = None) -> None:
    """Run one worker process on the store at REDIS_URL (and the queue at QUEUE_REDIS_URL, if it is another)."""
    from cli.processes import run_one_worker

    raise typer.Exit(run_one_worker(alive_file=alive_file))


@app.command()
def dashboard(host: OwnHost = None, port: OwnPort = None) -> None:
    """Run the operators' dashboard for the API at ZAPWRIGHT_API_URL."""
    from cli.processes import run_dashboard

    raise typer.Exit(run_dashboard(host=host, port=port))


@app.command()
def simulator(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 for a free one.")] = 8089,
    origin: Annotated[
        str | None, typer.Option(help="The address that links name.", show_default="the one the caller used")
    ] = None,
    data_dir: WorldDir = None,
    switches: Annotated[str | None, typer.Option(help="A JSON document as PATCH /_control/faults takes it.")] = None,
) -> None:
    """Run one simulator of the Partner API. Never let anybody else reach it: its control routes ask for no key."""
    from cli.processes import run_simulator

    raise typer.Exit(run_simulator(host=host, port=port, origin=origin, data_dir=data_dir, switches=switches))


@sessions.command("list")
def list_sessions(
    data_dir: DataDir = None,
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    status: Annotated[str | None, typer.Option(help="Only those of this status.")] = None,
    user: Annotated[str | None, typer.Option(help="Only those of this user.")] = None,
    stuck: Annotated[bool, typer.Option("--stuck", help="As an operator: only those where somebody is stuck.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on after a former page.")] = None,
    as_json: AsJson = False,
) -> None:
    """List sessions, youngest first: of every tenant with an operator's key, else of one with a backend's."""
    from cli.sessions import list_found

    query = {"state": state, "status": status, "user_id": user, "limit": limit, "cursor": cursor}
    query |= {"stuck": "true"} if stuck else {}
    raise typer.Exit(list_found(data_dir, query, as_json=as_json))


@sessions.command("show")
def show_session(session_id: SessionId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one session: its steps and everything that happened."""
    from cli.sessions import show_found

    raise typer.Exit(show_found(data_dir, session_id, as_json=as_json))


def _a_reason(said: str) -> str:
    if not 1 <= len(said) <= LONGEST_REASON:
        raise typer.BadParameter(f"say why, in 1 to {LONGEST_REASON} characters")
    return said


Why = Annotated[
    str,
    typer.Option(
        "--reason", help="Why; it goes into the audit, and outlives the user's data: name nobody.", callback=_a_reason
    ),
]
Seq = Annotated[int, typer.Argument(metavar="SEQ", min=1, help="The event's number.", show_default=False)]
OfStep = Annotated[
    str | None,
    typer.Option(
        "--step", help="Its place, alias or id.", show_default="the only one, or the only one that is waited for"
    ),
]


@sessions.command("check-now")
def check_now(
    session_id: SessionId, reason: Why, step: OfStep = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Have Zapier asked now for what a step waits for."""
    from cli.operators import intervene_at_step

    wish = {"reason": reason}
    raise typer.Exit(intervene_at_step(data_dir, session_id, step, "check-now", wish, as_json=as_json))


@sessions.command("bind")
def bind_authentication(
    session_id: SessionId,
    authentication_id: AuthenticationId,
    reason: Why,
    step: OfStep = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give a step an authentication that Zapier lists as the user's."""
    from cli.operators import intervene_at_step

    wish = {"reason": reason, "authentication_id": authentication_id}
    raise typer.Exit(intervene_at_step(data_dir, session_id, step, "bind", wish, as_json=as_json))


@sessions.command("reset")
def reset_step(
    session_id: SessionId, reason: Why, step: OfStep = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Let a step start over, with the choice of its app."""
    from cli.operators import intervene_at_step

    wish = {"reason": reason}
    raise typer.Exit(intervene_at_step(data_dir, session_id, step, "reset", wish, as_json=as_json))


@sessions.command("extend")
def extend_session(
    session_id: SessionId,
    reason: Why,
    minutes: Annotated[int, typer.Option("--by", min=1, max=1440, help="Minutes.")] = 60,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give a session, and the popups that it waits for, more time."""
    from cli.operators import intervene

    wish = {"reason": reason, "by_s": minutes * 60}
    raise typer.Exit(intervene(data_dir, session_id, "extend", wish, as_json=as_json))


@sessions.command("cancel")
def cancel_session(session_id: SessionId, reason: Why, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """End a session for its user."""
    from cli.operators import intervene

    raise typer.Exit(intervene(data_dir, session_id, "cancel", {"reason": reason}, as_json=as_json))


@sessions.command("replay")
def replay_event(
    endpoint: Endpoint, session_id: SessionId, seq: Seq, reason: Why, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Send an event of a session to a webhook endpoint once more."""
    from cli.operators import send_again

    raise typer.Exit(send_again(data_dir, (endpoint, session_id, str(seq)), reason, as_json=as_json))


@app.command()
def why(
    session_id: Annotated[str | None, typer.Argument(metavar="SESSION", show_default=False)] = None,
    app_id: Annotated[
        str | None, typer.Option("--app", help="An app instead, by its id at Zapier, or its title.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say what goes on with a session or an app, and what to do.

    The exit status is 3 when somebody has to help, 4 without such a session or app, 1 when nothing can be asked.
    """
    from cli.operators import why

    raise typer.Exit(why(data_dir, session_id, app_id, as_json=as_json))


@app.command()
def audit(
    data_dir: DataDir = None,
    session: Annotated[str | None, typer.Option(help="Only about this session.")] = None,
    key: Annotated[str | None, typer.Option(help="Only by this key, by its id.")] = None,
    action: Annotated[str | None, typer.Option(help="check_now, extend, bind, reset, cancel or replay.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on after a former page.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what operators did and were refused, youngest first: who, what, why, and what became of it."""
    from cli.operators import audit

    query = {"session_id": session, "key_id": key, "action": action, "limit": limit, "cursor": cursor}
    raise typer.Exit(audit(data_dir, query, as_json=as_json))


@keys.command("rotate")
def rotate_keys(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Encrypt every secret anew with the newest of ZAPWRIGHT_CREDENTIAL_KEYS, and say which keys may go.

    For what `zapwright up` runs it makes the new key, too. Safe while everything runs, and to repeat.
    """
    from cli.keys import rotate

    raise typer.Exit(rotate(data_dir, as_json=as_json))


TenantName = Annotated[str | None, typer.Option("--name", help="What the company is called.")]
Origins = Annotated[
    list[str] | None, typer.Option("--origin", help="Of its pages, such as https://app.example.com; may be repeated.")
]
ClientId = Annotated[
    str | None, typer.Option("--zapier-client-id", help="Its own client id at Zapier.", show_default="the deployment's")
]
WithSecret = Annotated[
    bool, typer.Option("--zapier-client-secret", help="Ask for its client secret, or read it from standard input.")
]
OwnApps = Annotated[
    list[str] | None,
    typer.Option(
        "--own-app",
        help="An app of its own: its id, or id=username+password with the fields it asks for; may be repeated.",
    ),
]
OfTenant = Annotated[
    list[str] | None,
    typer.Option(
        "--tenant",
        help="Whose key; or what an operator's is restricted to, may be repeated.",
        show_default="the default tenant; for operators every one",
    ),
]


@tenants.command("create")
def create_tenant(
    tenant_id: TenantId,
    data_dir: DataDir = None,
    name: TenantName = None,
    origin: Origins = None,
    zapier_client_id: ClientId = None,
    zapier_client_secret: WithSecret = False,
    own_app: OwnApps = None,
    as_json: AsJson = False,
) -> None:
    """Make a tenant."""
    from cli.tenants import change_of, create_tenant

    change = change_of(
        name=name,
        origins=origin,
        client_id=zapier_client_id,
        with_secret=zapier_client_secret,
        own_apps=own_app,
    )
    raise typer.Exit(create_tenant(data_dir, tenant_id, change, as_json=as_json))


@tenants.command("update")
def update_tenant(
    tenant_id: TenantId,
    data_dir: DataDir = None,
    name: TenantName = None,
    origin: Origins = None,
    zapier_client_id: ClientId = None,
    zapier_client_secret: WithSecret = False,
    own_app: OwnApps = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given; a list replaces the one there was, and `""` in it empties it."""
    from cli.tenants import change_of, update_tenant

    change = change_of(
        name=name,
        origins=origin,
        client_id=zapier_client_id,
        with_secret=zapier_client_secret,
        own_apps=own_app,
    )
    raise typer.Exit(update_tenant(data_dir, tenant_id, change, as_json=as_json))


@tenants.command("list")
def list_tenants(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List every tenant."""
    from cli.tenants import list_tenants

    raise typer.Exit(list_tenants(data_dir, as_json=as_json))


@api_keys.command("create")
def create_key(
    data_dir: DataDir = None,
    tenant: OfTenant = None,
    operator: Annotated[bool, typer.Option("--operator", help="An operator's key: sees and helps.")] = False,
    viewer: Annotated[bool, typer.Option("--viewer", help="The same, only to look.")] = False,
    name: Annotated[str, typer.Option(help="What it is for; of an operator's, whose it is: the audit names it.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do; may be repeated.", show_default="all a tenant may")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once."""
    from cli.api_keys import KeyWish, create_key

    wish = KeyWish(tenants=tenant or (), operator=operator, viewer=viewer, name=name, scopes=scope or ())
    raise typer.Exit(create_key(data_dir, wish, as_json=as_json))


@api_keys.command("list")
def list_keys(
    data_dir: DataDir = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    operator: Annotated[bool, typer.Option("--operator", help="Only operators' and viewers'.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the keys, without their secrets."""
    from cli.api_keys import list_keys

    raise typer.Exit(list_keys(data_dir, tenant_id=tenant, operator=operator, as_json=as_json))


@api_keys.command("revoke")
def revoke_key(key_id: KeyId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """End a key; it lets nobody in after a few seconds."""
    from cli.api_keys import revoke_key

    raise typer.Exit(revoke_key(data_dir, key_id, as_json=as_json))


Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's id.", show_default=False)]
Event = Annotated[
    list[str] | None,
    typer.Option("--event", help="An event to be sent; may be repeated.", show_default="the outcomes"),
]
About = Annotated[str | None, typer.Option("--description", help="What it is for.")]


@webhooks.command("create")
def create_webhook(
    url: Url,
    data_dir: DataDir = None,
    session: Annotated[str | None, typer.Option(help="Only this session's events.")] = None,
    event: Event = None,
    description: About = None,
    as_json: AsJson = False,
) -> None:
    """Have events sent to a URL, and print its id and secret, this once."""
    from cli.webhooks import create

    given = {"session_id": session, "events": event, "description": description}
    raise typer.Exit(create(data_dir, url, given, as_json=as_json))


@webhooks.command("list")
def list_webhooks(
    data_dir: DataDir = None,
    session: Annotated[str | None, typer.Option(help="Those of this session.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the endpoints, of every tenant with an operator's key, and why one is paused."""
    from cli.webhooks import list_endpoints

    raise typer.Exit(list_endpoints(data_dir, session_id=session, as_json=as_json))


@webhooks.command("update")
def update_webhook(
    endpoint: Endpoint,
    data_dir: DataDir = None,
    url: Annotated[str | None, typer.Option(help="Where to send everything that was not received yet.")] = None,
    event: Event = None,
    description: About = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given; events replace those there were."""
    from cli.webhooks import update

    given = {"url": url, "events": event, "description": description}
    raise typer.Exit(update(data_dir, endpoint, given, as_json=as_json))


@webhooks.command("pause")
def pause_webhook(endpoint: Endpoint, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Send nothing there for now; what happens is kept."""
    from cli.webhooks import update

    raise typer.Exit(update(data_dir, endpoint, {"paused": True}, as_json=as_json))


@webhooks.command("resume")
def resume_webhook(endpoint: Endpoint, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Send there again, what was kept first."""
    from cli.webhooks import update

    raise typer.Exit(update(data_dir, endpoint, {"paused": False}, as_json=as_json))


@webhooks.command("rotate")
def rotate_webhook(endpoint: Endpoint, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make a new secret and print it, this once; the one before signs, too, until the next."""
    from cli.webhooks import rotate

    raise typer.Exit(rotate(data_dir, endpoint, as_json=as_json))


@webhooks.command("test")
def fire_webhook(
    endpoint: Endpoint,
    data_dir: DataDir = None,
    event: Annotated[str | None, typer.Option(help="Which one to make up.", show_default="auth_resolved")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a made-up event now and say what came of it; the exit status is 1 when it was not received."""
    from cli.webhooks import fire

    raise typer.Exit(fire(data_dir, endpoint, event=event, as_json=as_json))


@webhooks.command("delete")
def delete_webhook(endpoint: Endpoint, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Send nothing there any more, not even what is on its way."""
    from cli.webhooks import delete

    raise typer.Exit(delete(data_dir, endpoint, as_json=as_json))


@webhooks.command("deliveries")
def list_deliveries(
    endpoint: Endpoint,
    data_dir: DataDir = None,
    state: Annotated[str | None, typer.Option(help="pending, delivered or dead.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on after a former page.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what was sent to an endpoint, of any tenant with an operator's key, youngest first."""
    from cli.webhooks import deliveries

    query = {"state": state, "limit": limit, "cursor": cursor}
    raise typer.Exit(deliveries(data_dir, endpoint, query, as_json=as_json))


@webhooks.command("replay")
def replay_delivery(
    endpoint: Endpoint, session_id: SessionId, seq: Seq, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Send one event once more."""
    from cli.webhooks import replay

    raise typer.Exit(replay(data_dir, endpoint, session_id, seq, as_json=as_json))


@app.command()
def listen(
    data_dir: DataDir = None,
    forward: Annotated[str | None, typer.Option(help="Where to pass messages on to.")] = None,
    event: Event = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 for a free one.")] = 0,
) -> None:
    """Hear events on this machine until Ctrl-C, print them, and pass them on to what you are developing."""
    from cli.webhooks import listen

    raise typer.Exit(listen(data_dir, forward=forward, events=event or (), port=port))


TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", help="A user's access token; - reads a line.", show_default="ZAPWRIGHT_PROBE_TOKEN"),
]


@app.command()
def doctor(
    data_dir: DataDir = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the API what `probe` asks, too.")] = False,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Examine settings, store, workers, budget and upstream; say what to change. Makes one call to Zapier."""
    from cli.doctor import run_doctor

    raise typer.Exit(run_doctor(data_dir, live=live, token_file=token_file, as_json=as_json))


@app.command("probe")
def probe_api(
    data_dir: DataDir = None,
    app: Annotated[
        str | None, typer.Option(help="Title or id of the app to ask about.", show_default="the most popular")
    ] = None,
    token_file: TokenFile = None,
    writes: Annotated[bool, typer.Option("--writes", help="Also ask what cannot be asked without writing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Agree beforehand to everything that is written.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure what the live Partner API does where its documentation is silent; say which assumptions hold."""
    from cli.probe import Wishes, run_probe

    wishes = Wishes(app=app, token_file=token_file, with_writes=writes, yes=yes, as_json=as_json)
    raise typer.Exit(run_probe(data_dir, wishes))


def main() -> None:
    """Run the command that the arguments name."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows few letters is shown what it can
    try:
        app()
    except CommandError as error:
        typer.secho(f"zapwright: {error}", fg="red", err=True)
        sys.exit(error.status)
