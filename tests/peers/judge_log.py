"""Judges proofs and checkpoints with the package proofbundle: its own Merkle tree (RFC 6962), C2SP
tlog-proof, tlog-checkpoint and signed-note.

Reads a JSON list of cases from stdin, prints a JSON list of true and false.
"""

import base64
import json
import sys

from proofbundle import checkpoint, merkle, tlogproof
from proofbundle.errors import ProofBundleError


def judge(case):
    if case["check"] == "tlog-proof":
        event = base64.b64decode(case["event"])
        return tlogproof.verify_tlog_proof(case["text"], event, case["key"])["ok"]
    if case["check"] == "checkpoint":
        try:
            return checkpoint.verify_checkpoint(case["note"], case["key"])["ok"]
        except ProofBundleError:
            return False
    old, new = case["old"], case["new"]
    proof = [base64.b64decode(each) for each in case["proof"]]
    roots = [base64.b64decode(head["root"]) for head in (old, new)]
    return merkle.verify_consistency(old["size"], new["size"], proof, *roots)


print(json.dumps([judge(case) is True for case in json.load(sys.stdin)]))
