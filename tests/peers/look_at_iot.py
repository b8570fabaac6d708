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

    def thing(listed):
        name = listed["thingName"]
        return name, {
            "thing_type": listed.get("thingTypeName"),
            "attributes": listed.get("attributes", {}),
            "principals": sorted(every("list_thing_principals", "principals", thingName=name)),
        }

    def certificate(listed):
        described = iot.describe_certificate(certificateId=listed["certificateId"])["certificateDescription"]
        arn = described["certificateArn"]
        der = ssl.PEM_cert_to_DER_cert(described["certificatePem"])
        return described["certificateId"], {
            "arn": arn,
            "status": described["status"],
            "der_sha256": hashlib.sha256(der).hexdigest(),
            "things": sorted(every("list_principal_things", "things", principal=arn)),
            "policies": sorted(p["policyName"] for p in every("list_attached_policies", "policies", target=arn)),
        }

    def policy(listed):
        name = listed["policyName"]
        return name, {
            "document": json.loads(iot.get_policy(policyName=name)["policyDocument"]),
            "targets": sorted(every("list_targets_for_policy", "targets", policyName=name)),
        }

    def seen(operation, key, look):
        """What a test beside this one deletes meanwhile is gone."""
        found = {}
        for listed in every(operation, key):
            try:
                name, told = look(listed)
            except iot.exceptions.ResourceNotFoundException:
                continue
            found[name] = told
        return found

    things = seen("list_things", "things", thing)
    certificates = seen("list_certificates", "certificates", certificate)
    policies = seen("list_policies", "policies", policy)
    print(json.dumps({"things": things, "certificates": certificates, "policies": policies}))


if __name__ == "__main__":
    main()
