"""Starts MiniStack as the practice line's AWS, on loopback and nowhere else.

    python ministack_loopback.py --announce FILE [--state DIR] [--port N] [--mtls]

When the cloud answers, FILE (mode 0600) appears, whole: a JSON object with `port`, `mtls_port` and
`mtls_ca` (a PEM certificate; or null), `region`, `access_key_id` and `secret_access_key`. The keys belong to an IAM user that may do
what a station does and no more; SigV4 is verified.

With --state, what the cloud holds is kept in DIR: written every few seconds and at exit. Without,
it lives in memory.

The process ends when its standard input does, so it never outlives whoever started it.
"""

import argparse
import asyncio
import functools
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
import urllib.request

REGION = "us-east-1"
USER = "lineseal-practice-station"
SAVE_EVERY_SECONDS = 5
READY_WITHIN_SECONDS = 60

# What the station calls: the policy that a production role needs, too.
STATION_ACTIONS = [
    "iot:AddThingToThingGroup",
    "iot:AttachPolicy",
    "iot:AttachThingPrincipal",
    "iot:CreateCertificateFromCsr",
    "iot:CreatePolicy",
    "iot:CreateProvisioningClaim",
    "iot:CreateThing",
    "iot:CreateThingType",
    "iot:DescribeCACertificate",
    "iot:DescribeCertificate",
    "iot:DescribeEndpoint",
    "iot:DescribeThing",
    "iot:DescribeThingGroup",
    "iot:DescribeThingType",
    "iot:DetachPolicy",
    "iot:DeleteCertificate",
    "iot:DeleteThing",
    "iot:DetachThingPrincipal",
    "iot:GetPolicy",
    "iot:ListAttachedPolicies",
    "iot:ListCertificates",
    "iot:ListPrincipalThings",
    "iot:ListPrincipalThingsV2",
    "iot:ListThingGroupsForThing",
    "iot:ListThingPrincipals",
    "iot:RegisterCertificate",
    "iot:RegisterCertificateWithoutCA",
    "iot:RegisterThing",
    "iot:UpdateCertificate",
]

# What an administrator's `lineseal ca` calls besides: a production station has no need of these.
CA_ACTIONS = [
    "iot:DeleteCACertificate",
    "iot:GetRegistrationCode",
    "iot:ListCACertificates",
    "iot:RegisterCACertificate",
    "iot:UpdateCACertificate",
]

# And `lineseal template` and `lineseal claim`.
FLEET_ACTIONS = [
    "iot:CreateKeysAndCertificate",
    "iot:CreateProvisioningTemplate",
    "iot:DescribeProvisioningTemplate",
    "iot:ListProvisioningTemplates",
    "iot:ListTargetsForPolicy",
    "iam:PassRole",
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--announce", required=True)
    parser.add_argument("--state")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mtls", action="store_true")
    args = parser.parse_args()

    keep_to_loopback()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", args.port))
    listener.listen(128)
    port = listener.getsockname()[1]
    mtls_port = free_port() if args.mtls else None

    # MiniStack reads its environment when it is imported.
    os.environ.update(
        AUTH="true",
        GATEWAY_PORT=str(port),
        BIND_HOST="127.0.0.1",
        MINISTACK_HOST="localhost",
        MINISTACK_REGION=REGION,
        SERVICES="iot,iam,sts",
        SFTP_ENABLED="0",
        IOT_MTLS_ENABLED="1" if args.mtls else "0",
        IOT_MTLS_PORT=str(mtls_port or 8883),
        # It looks for containers of its own to reap; a developer's Docker is none of its business.
        DOCKER_HOST="unix:///nonexistent/docker.sock",
    )
    if args.state:
        os.makedirs(args.state, mode=0o700, exist_ok=True)
        os.environ.update(PERSIST_STATE="1", STATE_DIR=args.state)

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app as ministack

    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.5
    config.accesslog = None

    announce = functools.partial(announce_when_ready, args.announce, port, mtls_port)
    threading.Thread(target=announce, daemon=True).start()

    async def run():
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        loop.add_signal_handler(signal.SIGINT, ended.set)
        threading.Thread(target=watch_stdin, args=(loop, ended), daemon=True).start()
        if args.state:
            saver = asyncio.create_task(save_now_and_then(ministack))
        await serve(ministack.app, config, shutdown_trigger=ended.wait)
        if args.state:
            saver.cancel()

    asyncio.run(run())


def keep_to_loopback():
    """Every socket of this process that would listen on all interfaces listens on loopback.

    MiniStack's MQTT listener binds 0.0.0.0 and cannot be told otherwise.
    """
    bind = socket.socket.bind

    def bind_to_loopback(self, address):
        if self.family == socket.AF_INET:
            address = ("127.0.0.1", *address[1:])
        elif self.family == socket.AF_INET6:
            address = ("::1", *address[1:])
        return bind(self, address)

    socket.socket.bind = bind_to_loopback


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def watch_stdin(loop, ended):
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(ended.set)


async def save_now_and_then(ministack):
    """MiniStack saves at a clean exit only; a practice line is switched off as it comes."""
    logging.getLogger("persistence").setLevel(logging.WARNING)
    while True:
        await asyncio.sleep(SAVE_EVERY_SECONDS)
        ministack.save_all(ministack._build_persistence_save_dict())


def announce_when_ready(path, port, mtls_port):
    try:
        endpoint = f"http://127.0.0.1:{port}"
        wait_until_ready(endpoint)
        key = make_station_user(endpoint)
        announcement = {
            "port": port,
            "mtls_port": mtls_port,
            "mtls_ca": broker_ca(endpoint) if mtls_port else None,
            "region": REGION,
            "access_key_id": key["AccessKeyId"],
            "secret_access_key": key["SecretAccessKey"],
        }
        partial = f"{path}.partial"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(announcement, file)
        os.rename(partial, path)
    except Exception as error:
        print(f"MiniStack did not become ready: {error!r}", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)


def wait_until_ready(endpoint):
    """`ready` waits for the MQTT listener, too."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{endpoint}/_ministack/ready", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("no answer from /_ministack/ready")
        time.sleep(0.05)


def broker_ca(endpoint):
    with urllib.request.urlopen(f"{endpoint}/_ministack/iot/ca.pem", timeout=30) as answer:
        return answer.read().decode()


def make_station_user(endpoint):
    """A user with keys of its own: MiniStack's built-in key `test` is root and its secret unchecked."""
    from botocore.session import Session

    iam = Session().create_client(
        "iam",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="unchecked",
    )
    try:
        iam.create_user(UserName=USER)
    except iam.exceptions.EntityAlreadyExistsException:
        for old in iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=USER, AccessKeyId=old["AccessKeyId"])
    statement = {"Effect": "Allow", "Action": STATION_ACTIONS + CA_ACTIONS + FLEET_ACTIONS, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=USER, PolicyName="station", PolicyDocument=document)
    return iam.create_access_key(UserName=USER)["AccessKey"]


if __name__ == "__main__":
    main()
