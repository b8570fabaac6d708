"""The how-to's way, one call after the other, in one process: no proof, no look, no read-back.

    python five_calls.py ENDPOINT REGION     keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY

Reads a JSON list of {"thing", "pem"} from standard input; the first is not timed. Prints the seconds
that each other one took, as a JSON list.
"""

import json
import sys
import time

import boto3

POLICY = "how-to"
DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["iot:Connect"],
            "Resource": ["arn:aws:iot:*:*:client/${iot:Connection.Thing.ThingName}"],
        }
    ],
}


def register(iot, thing, pem):
    certificate = iot.register_certificate_without_ca(certificatePem=pem, status="ACTIVE")["certificateArn"]
    iot.create_thing(thingName=thing)
    try:
        iot.create_policy(policyName=POLICY, policyDocument=json.dumps(DOCUMENT))
    except iot.exceptions.ResourceAlreadyExistsException:
        pass
    iot.attach_policy(policyName=POLICY, target=certificate)
    iot.attach_thing_principal(thingName=thing, principal=certificate)


def main():
    endpoint, region = sys.argv[1:]
    iot = boto3.client("iot", endpoint_url=endpoint, region_name=region)
    took = []
    for unit in json.load(sys.stdin):
        began = time.monotonic()
        register(iot, unit["thing"], unit["pem"])
        took.append(time.monotonic() - began)
    print(json.dumps(took[1:]))


main()
