"""Prints everything that an AWS IoT endpoint holds, as boto3 sees it: someone else's eyes.

    python look_at_iot.py ENDPOINT REGION

One JSON object: things (type, attributes, principals), certificates by id (ARN, status, SHA-256 of
the DER, things, policies), policies (document, targets). Looks as root, and writes nothing.
"""

import hashlib
import json
import ssl
import sys

import boto3
from botocore.config import Config


def main():
    endpoint, region = sys.argv[1:]
    iot = boto3.client(
        "iot",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 2}),
    )

    def every(operation, key, **arguments):
        for page in iot.get_paginator(operation).paginate(**arguments):
            yield from page[key]

    things = {}
    for thing in every("list_things", "things"):
        name = thing["thingName"]
        things[name] = {
            "thing_type": thing.get("thingTypeName"),
            "attributes": thing.get("attributes", {}),
            "principals": sorted(every("list_thing_principals", "principals", thingName=name)),
        }

    certificates = {}
    for listed in every("list_certificates", "certificates"):
        described = iot.describe_certificate(certificateId=listed["certificateId"])["certificateDescription"]
        arn = described["certificateArn"]
        der = ssl.PEM_cert_to_DER_cert(described["certificatePem"])
        certificates[described["certificateId"]] = {
            "arn": arn,
            "status": described["status"],
            "der_sha256": hashlib.sha256(der).hexdigest(),
            "things": sorted(every("list_principal_things", "things", principal=arn)),
            "policies": sorted(p["policyName"] for p in every("list_attached_policies", "policies", target=arn)),
        }

    policies = {}
    for listed in every("list_policies", "policies"):
        name = listed["policyName"]
        policies[name] = {
            "document": json.loads(iot.get_policy(policyName=name)["policyDocument"]),
            "targets": sorted(every("list_targets_for_policy", "targets", policyName=name)),
        }

    print(json.dumps({"things": things, "certificates": certificates, "policies": policies}))


if __name__ == "__main__":
    main()
