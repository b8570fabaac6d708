"""Starts moto's server on a free loopback port.

    python moto_loopback.py --announce FILE

FILE appears when it listens: a JSON object with `port`. moto is told to use the certificate's DER
for certificate ids, as AWS does; by default it hashes the PEM text. The process ends when its
standard input does.
"""

import argparse
import json
import os
import threading

from moto.core.config import default_user_config

default_user_config["iot"]["use_valid_cert"] = True

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--announce", required=True)
    args = parser.parse_args()

    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    partial = f"{args.announce}.partial"
    with open(partial, "w") as file:
        json.dump({"port": server.port}, file)
    os.rename(partial, args.announce)

    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
