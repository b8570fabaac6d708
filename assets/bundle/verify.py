#!/usr/bin/env python3
"""Checks a Lineseal proof bundle offline: python3 verify.py [--key KEY|FILE]... [FOLDER]

A KEY is a line of `lineseal audit key show`, a FILE holds such lines.

Python's standard library and the program openssl (3.0 or later), no network. Status 0: everything
holds; 1: something does not, and the last line says what.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

FIXED = ["README.md", "SHA256SUMS", "bundle.json", "checkpoint.txt", "verify.py"]
DIGESTS = {
    "ecdsa_secp256r1_sha256": "sha256",
    "ecdsa_secp384r1_sha384": "sha384",
    "ecdsa_secp521r1_sha512": "sha512",
    "rsa_pkcs1_sha256": "sha256",
}
SCHEMES = {
    "ec-p256": "ecdsa_secp256r1_sha256",
    "ec-p384": "ecdsa_secp384r1_sha384",
    "ec-p521": "ecdsa_secp521r1_sha512",
    "rsa-2048": "rsa_pkcs1_sha256",
    "rsa-3072": "rsa_pkcs1_sha256",
    "rsa-4096": "rsa_pkcs1_sha256",
}
# What Python raises when something is not of the form that the code below takes for granted.
MISSHAPEN = (AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError, subprocess.SubprocessError)


class Wrong(Exception):
    """The bundle does not hold."""


def need(condition, what):
    if not condition:
        raise Wrong(what)


def say(line):
    """One line, whatever a forger put in: nothing in it moves the cursor or begins another line."""
    print("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line))


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text, what):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Wrong(f"{what}: not base64") from None
    need(base64.b64encode(data).decode() == text, f"{what}: not base64 in its only form")
    return data


def openssl(*arguments, **files):
    """Runs openssl; {name} in an argument is a file with these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name, data in files.items():
            paths[name] = os.path.join(folder, name)
            with open(paths[name], "wb") as file:
                file.write(data)
        command = ["openssl"] + [argument.format(**paths) for argument in arguments]
        try:
            return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        except FileNotFoundError:
            raise Wrong("openssl is not installed") from None


def read(folder):
    """Every file by its name with slashes."""
    files = {}
    for at, folders, names in os.walk(folder):
        for name in names + [each for each in folders if os.path.islink(os.path.join(at, each))]:
            path = os.path.join(at, name)
            shown = os.path.relpath(path, folder).replace(os.sep, "/")
            need(os.path.isfile(path) and not os.path.islink(path), f"{shown}: not a plain file")
            with open(path, "rb") as file:
                files[shown] = file.read()
    return files


def text(files, name):
    need(name in files, f"{name} is missing")
    try:
        return files[name].decode("utf-8")
    except UnicodeDecodeError:
        raise Wrong(f"{name}: not UTF-8") from None


def check_sums(files):
    given = text(files, "SHA256SUMS")
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "SHA256SUMS"}
    listed = dict(reversed(line.split("  ", 1)) for line in given.splitlines() if "  " in line)
    for name in sorted(listed):
        need(name in sums, f"{name} is missing")
    for name in sorted(sums):
        need(name in listed, f"{name} does not belong here")
        need(listed[name] == sums[name], f"{name} is not the file whose sum is in SHA256SUMS")
    order = sorted(sums, key=lambda name: name.encode())
    need(given == "".join(f"{sums[name]}  {name}\n" for name in order), "SHA256SUMS: not as it was written")


def parse_key(vkey):
    """(name, id, public key) of a C2SP signed-note verifier key for Ed25519."""
    parts = vkey.split("+", 2)
    need(len(parts) == 3, f"{vkey}: not a verifier key")
    name, number, key = parts[0], parts[1], unbase64(parts[2], vkey)
    need(name and not re.search(r"\s", name), f"{vkey}: not a verifier key")
    need(len(key) == 33 and key[0] == 1, f"{vkey}: not an Ed25519 key")
    need(sha256(name.encode(), b"\n", key)[:4].hex() == number, f"{vkey}: its id does not belong to it")
    return name, number, key[1:]


def pem(public):
    der = bytes.fromhex("302a300506032b6570032100") + public
    return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n".encode()


def parse_note(note):
    """(text, [(name, id, signature)]) of a C2SP signed note."""
    body, separator, lines = note.rpartition("\n\n")
    need(separator and lines.endswith("\n"), "checkpoint.txt: not a signed note")
    signatures = []
    for line in lines[:-1].split("\n"):
        parts = line.split(" ")
        need(len(parts) == 3 and parts[0] == "\u2014", "checkpoint.txt: not a signed note")
        data = unbase64(parts[2], "checkpoint.txt")
        need(len(data) > 4, "checkpoint.txt: not a signed note")
        signatures.append((parts[1], data[:4].hex(), data[4:]))
    return body + "\n", signatures


def number(text_, what):
    need(re.fullmatch(r"0|[1-9][0-9]{0,19}", text_, re.ASCII), f"{what}: not a number in its only form")
    return int(text_)


def parse_checkpoint(body):
    lines = body[:-1].split("\n")
    need(len(lines) >= 3 and all(lines), "checkpoint.txt: not a checkpoint")
    root = unbase64(lines[2], "checkpoint.txt")
    need(len(root) == 32, "checkpoint.txt: its root is no SHA-256")
    return lines[0], number(lines[1], "checkpoint.txt"), root


def signed(body, signatures, key):
    """Did this key sign? A wrong signature of it spoils the note."""
    name, number_, public = key
    found = [signature for signer, id_, signature in signatures if (signer, id_) == (name, number_)]
    for signature in found[:1]:
        done = openssl(
            "pkeyutl", "-verify", "-pubin", "-inkey", "{key}", "-rawin", "-in", "{body}", "-sigfile", "{signature}",
            key=pem(public), body=body.encode(), signature=signature,
        )
        need(done.returncode == 0, f"checkpoint.txt: the signature of {name} ({number_}) is wrong")
    return bool(found)


def root_of(event, index, size, path, what):
    """RFC 9162 section 2.1.3.2."""
    need(index < size, f"{what}: the log has only {size} events")
    here, last, node = index, size - 1, sha256(b"\0", event)
    for beside in path:
        need(last > 0, f"{what}: the proof is too long")
        if here & 1 or here == last:
            node = sha256(b"\1", beside, node)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            node = sha256(b"\1", node, beside)
        here, last = here >> 1, last >> 1
    need(last == 0, f"{what}: the proof is too short")
    return node


def parse_proof(files, seq, name):
    """(path, checkpoint) of a C2SP tlog-proof."""
    head, separator, note = text(files, name).partition("\n\n")
    lines = head.split("\n")
    need(separator and lines[0] == "c2sp.org/tlog-proof@v1" and len(lines) >= 2, f"{name}: not a proof")
    need(lines[1] == f"index {seq}", f"{name}: for another event")
    path = [unbase64(line, name) for line in lines[2:]]
    need(all(len(hash_) == 32 for hash_ in path), f"{name}: not a proof")
    return path, note


def check_event(files, seq, checkpoint):
    note, size, root = checkpoint
    name = f"proofs/{seq}.tlog-proof"
    path, own = parse_proof(files, seq, name)
    need(own == note, f"{name}: does not belong to checkpoint.txt")
    need(f"events/{seq}.json" in files, f"events/{seq}.json is missing")
    event = files[f"events/{seq}.json"]
    need(root_of(event, seq, size, path, name) == root, f"events/{seq}.json: not what the log has at {seq}")
    try:
        return event, json.loads(event)
    except ValueError:
        raise Wrong(f"events/{seq}.json: not JSON") from None


def check_rotation(files, seq, event, origin):
    """(old key, new key): the old one signed a checkpoint that has the event by which it was replaced."""
    name = f"rotations/{seq}.tlog-proof"
    path, note = parse_proof(files, seq, name)
    body, signatures = parse_note(note)
    named, size, root = parse_checkpoint(body)
    need(named == origin, f"{name}: of another log")
    bytes_, told = event
    kind = (told["event"], told["role"])
    need(kind == ("log-key-added", "station"), f"{name}: events/{seq}.json replaces no key")
    need(signed(body, signatures, parse_key(told["replaces"])), f"{name}: the key that was replaced did not sign it")
    need(root_of(bytes_, seq, size, path, name) == root, f"{name}: not what the log has at {seq}")
    return told["replaces"], told["key"]


def ecdsa_der(signature):
    def tagged(tag, data):
        length = bytes([len(data)]) if len(data) < 128 else bytes([0x81, len(data)])
        return bytes([tag]) + length + data

    need(2 <= len(signature) <= 132, "an event's signature has no length that a curve has")
    half = len(signature) // 2
    integers = b""
    for digits in (signature[:half], signature[half:]):
        digits = digits.lstrip(b"\0")
        integers += tagged(2, digits if digits and digits[0] < 128 else b"\0" + digits)
    return tagged(0x30, integers)


def evidence(events):
    """The files that the events make, the chips' answers, and what was made for their keys, to check."""
    files, answers, refused, issued, runs, pinned = {}, [], [], [], {}, {}
    for seq, event in events:
        kind, run = event.get("event"), event.get("run")
        if kind in ("imported", "certificate-pinned") and "certificate" in event:
            certificate = unbase64(event["certificate"], f"events/{seq}.json")
            files[f"evidence/{seq}-certificate.der"] = certificate
            if kind == "certificate-pinned":
                pinned[sha256(certificate).hex()] = certificate
        elif kind == "crl-pinned":
            files[f"evidence/{seq}-crl.der"] = unbase64(event["crl"], f"events/{seq}.json")
        if run is None:
            continue
        shown = runs.setdefault(run, {})
        if kind == "run-started":
            shown["port"] = event["device"]["path"]
        elif kind == "identified":
            shown["unit"] = event["unit"]
        elif kind in ("chip-read", "read-again"):
            shown["certificate"] = unbase64(event["reading"]["certificate"], f"events/{seq}.json")
            files[f"evidence/{seq}-certificate.der"] = shown["certificate"]
        elif kind == "claimed":
            shown["spki"] = event["identity"]["spki"]
        elif kind == "certificate-requested":
            shown["request"] = unbase64(event["request"], f"events/{seq}.json")
            files[f"evidence/{seq}-request.der"] = shown["request"]
        elif kind == "certificate-issued":
            certificate = unbase64(event["issued"]["certificate"], f"events/{seq}.json")
            files[f"evidence/{seq}-certificate.der"] = certificate
            issued.append((seq, event["issued"], certificate, shown.get("spki"), shown.pop("request", None)))
        elif kind == "challenge-made":
            challenge = unbase64(event["challenge"], f"events/{seq}.json")
            shown["challenge"] = (event["purpose"], challenge)
            files[f"evidence/{seq}-challenge.bin"] = challenge
        elif kind == "challenge-answered":
            signature = unbase64(event["signature"], f"events/{seq}.json")
            files[f"evidence/{seq}-signature.bin"] = signature
            if event["scheme"].startswith("ecdsa"):
                signature = ecdsa_der(signature)
                files[f"evidence/{seq}-signature.der"] = signature
            purpose, challenge = shown.pop("challenge", (None, None))
            if purpose == event["purpose"] and "certificate" in shown:
                issuers = [pinned.get(each) for each in event["decision"]["path"][1:]]
                answers.append(
                    {
                        "seq": seq,
                        "certificate": shown["certificate"],
                        "challenge": challenge,
                        "signature": signature,
                        "scheme": event["scheme"],
                        "facts": [run, shown.get("unit"), shown.get("port"), purpose],
                        "decision": event["decision"],
                        "issuers": [] if None in issuers else issuers,
                    }
                )
        elif kind == "step-failed" and event["failure"]["code"] == "S-101":
            told = event["failure"].get("args", {})
            purpose, challenge = shown.get("challenge", (None, None))
            scheme = SCHEMES.get(told.get("key"))
            if "answer" in told and scheme and challenge is not None and "certificate" in shown:
                answer = bytes.fromhex(told["answer"])
                files[f"evidence/{seq}-refused.bin"] = answer
                if scheme.startswith("ecdsa") and 2 <= len(answer) <= 132:
                    answer = ecdsa_der(answer)
                    files[f"evidence/{seq}-refused.der"] = answer
                refused.append(
                    {
                        "seq": seq,
                        "certificate": shown["certificate"],
                        "challenge": challenge,
                        "signature": answer,
                        "scheme": scheme,
                        "facts": [run, shown.get("unit"), shown.get("port"), purpose],
                    }
                )
    return files, answers, refused, issued


def check_challenge(answer):
    """Eight fields, each behind its length in four bytes: the last two are the log's root and random bytes."""
    what = f"event {answer['seq']}: its challenge was made for another run, board or purpose"
    run, unit, port, purpose = answer["facts"]
    need(unit is not None and port is not None, what)
    texts = ["lineseal challenge v1", None, unit["product"], unit["serial"], port, purpose]
    fields = [bytes.fromhex(run.replace("-", "")) if text_ is None else text_.encode() for text_ in texts]
    begins = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    rest = answer["challenge"][len(begins) :]
    need(answer["challenge"].startswith(begins) and len(rest) == 72, what)
    need(rest[:4] == rest[36:40] == (32).to_bytes(4, "big"), what)


def element(data, at, end, what):
    """(tag, where its contents begin, where it ends) of the DER element at `at`, which has to end by `end`."""
    need(at + 2 <= end, what)
    tag, length, begin = data[at], data[at + 1], at + 2
    need(tag & 31 != 31, what)
    if length & 128:
        begin += length & 127
        need(length & 127 and begin <= end, what)
        length = int.from_bytes(data[at + 2 : begin], "big")
    need(begin + length <= end, what)
    return tag, begin, begin + length


def elements(data, what):
    """The elements within the SEQUENCE that `data` is, each as its very bytes."""
    tag, at, end = element(data, 0, len(data), what)
    need(tag == 0x30 and end == len(data), what)
    found = []
    while at < end:
        after = element(data, at, end, what)[2]
        found.append(data[at:after])
        at = after
    return found


def bits(data, what):
    """Of a BIT STRING of whole bytes."""
    tag, begin, end = element(data, 0, len(data), what)
    need(tag == 3 and end > begin and data[begin] == 0, what)
    return data[begin + 1 : end]


def parts(certificate, what):
    """What a signature on a certificate is checked by (RFC 5280 section 4.1), each cut out as it stands."""
    signed_, algorithm, signature = elements(certificate, what)
    fields = elements(signed_, what)
    fields = fields[fields[0][0] == 0xA0 :]
    spki = fields[5]
    key_algorithm = elements(elements(spki, what)[0], what)[0]
    return {
        "signed": signed_,
        "algorithm": b"".join(elements(algorithm, what)),
        "signature": bits(signature, what),
        "spki": spki,
        "key": key_algorithm,
    }


def algorithms():
    """An AlgorithmIdentifier's contents, the key that it is for, and how openssl is told of it."""
    known, ec, rsa = {}, bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06092a864886f70d010101")
    null = b"\5\0"
    for at, name, length in ((0, "sha256", 32), (1, "sha384", 48), (2, "sha512", 64)):
        ecdsa = bytes.fromhex("06082a8648ce3d0403") + bytes([2 + at])
        pkcs1 = bytes.fromhex("06092a864886f70d0101") + bytes([11 + at])
        for parameters in (b"", null):
            known[ecdsa + parameters] = (ec, [f"-{name}"])
            known[pkcs1 + parameters] = (rsa, [f"-{name}"])
        hash_ = bytes.fromhex("300d0609608648016503040200")[:-1] + bytes([1 + at]) + null
        pss = b"\xa0\x0f" + hash_ + bytes.fromhex("a11c301a06092a864886f70d010108") + hash_
        pss += bytes([0xA2, 3, 2, 1, length])
        options = [f"-{name}", "-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{length}"]
        known[bytes.fromhex("06092a864886f70d01010a30") + bytes([len(pss)]) + pss] = (rsa, options)
    return known


def pem_of(spki):
    return b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(spki) + b"-----END PUBLIC KEY-----\n"


def check_path(answer):
    """Who signed whom, as the factory says. What else of a certificate openssl can read, or likes, is no matter."""
    what = f"event {answer['seq']}: the certificates that it was decided by did not sign each other as it says"
    certificate, decision = answer["certificate"], answer["decision"]
    need(decision["path"][0] == sha256(certificate).hex(), what)
    path = [parts(each, what) for each in [certificate] + answer["issuers"]]
    need(sha256(path[0]["spki"]).hex() == decision["spki"], what)
    for one, issuer in zip(path, path[1:]):
        key, options = algorithms().get(one["algorithm"], (None, []))
        need(key == issuer["key"], what)
        done = openssl(
            "dgst", *options, "-verify", "{key}", "-signature", "{signature}", "{signed}",
            key=pem_of(issuer["spki"]), signature=one["signature"], signed=one["signed"],
        )
        need(done.returncode == 0, what)


def verifies(seq, certificate, challenge, signature, scheme):
    what = f"event {seq}: the chip's signature can't be checked"
    need(scheme in DIGESTS, what)
    done = openssl(
        "dgst", f"-{DIGESTS[scheme]}", "-verify", "{public}", "-signature", "{signature}", "{challenge}",
        public=pem_of(parts(certificate, what)["spki"]), signature=signature, challenge=challenge,
    )
    return done.returncode == 0


def check_issued(seq, said, certificate, spki, request):
    """It is for the key that the run claimed, and what the run asked for by that key's own signature."""
    what = f"event {seq}: the certificate is not one that its run asked for, for the key that it claimed"
    need(said["fingerprint"] == sha256(certificate).hex() and request is not None, what)
    need(said["request"] == sha256(request).hex(), what)
    need(sha256(parts(certificate, what)["spki"]).hex() == spki, what)
    signed = openssl("req", "-inform", "DER", "-in", "{request}", "-noout", "-verify", request=request)
    need(signed.returncode == 0, what)


def check_disclosure(disclosure, events):
    hash_ = disclosure["sha256"]
    what = f"what is said to be behind {hash_} is not, or no event has it"
    need(re.fullmatch(r"[0-9a-f]{64}", hash_), what)
    need(any(hash_.encode() in event for event in events), what)
    need(disclosure["state"] in ("revealed", "forgotten"), what)
    if disclosure["state"] == "revealed":
        salt = unbase64(disclosure["salt"], "bundle.json")
        need(sha256(salt, disclosure["text"].encode()).hex() == hash_, what)


def check_runs(events, unit):
    """The unit's runs in their order, each with how it ended. No other unit's event is among these."""
    runs, mine = {}, 0
    for seq, event in events:
        what = f"nothing here says that event {seq} is of the unit {unit['product']} {unit['serial']}"
        kind, run, named = event.get("event"), event.get("run"), event.get("unit")
        ours = named is not None and (named["product"], named["serial"]) == (unit["product"], unit["serial"])
        if run is None:
            need(ours or kind not in ("ruled", "withdrawn", "imported"), what)
            mine += kind in ("ruled", "withdrawn", "imported")
            continue
        shown = runs.setdefault(run, {"what": what, "identified": False, "ended": "no verdict in this bundle"})
        need(ours or kind not in ("identified", "claimed"), what)
        if kind == "identified":
            shown["identified"] = True
        elif kind == "sealed":
            reason = event.get("reason")
            shown["ended"] = event["verdict"] + (f" {reason['code']}" if reason else "")
    for shown in runs.values():
        need(shown["identified"], shown["what"])
    need(runs or mine, "no event is of the unit that bundle.json names")
    return {run: shown["ended"] for run, shown in runs.items()}


def replaces_a_key(event):
    return event.get("event") == "log-key-added" and event["role"] == "station" and "replaces" in event


def given_keys(texts):
    """(verifier key, size of the largest checkpoint that it vouches for, or None) of each that was given."""
    lines = []
    for text_ in texts:
        if os.path.isfile(text_):
            with open(text_, encoding="utf-8") as file:
                lines += [line.strip() for line in file if line.strip()]
        else:
            lines.append(text_)
    need(lines or not texts, "--key: no key in it")
    keys = [line.partition(" until ") for line in lines]
    for vkey, until, size in keys:
        parse_key(vkey)
        need(bool(until) == bool(size), f"{vkey}: not a verifier key")
    return [(vkey, number(size, vkey) if until else None) for vkey, until, size in keys]


def check(folder, pinned):
    files = read(folder)
    check_sums(files)
    manifest = json.loads(text(files, "bundle.json"))
    known = (manifest["format"], manifest["version"])
    need(known == ("lineseal-proof-bundle", 1), f"bundle.json: {known} is unknown to this program")
    expected = {name: files.get(name) for name in FIXED}

    note = text(files, "checkpoint.txt")
    body, signatures = parse_note(note)
    origin, size, root = parse_checkpoint(body)
    claimed = {"origin": origin, "size": size, "root": root.hex()}
    need(manifest["checkpoint"] == claimed, "bundle.json does not belong to checkpoint.txt")
    for vkey in manifest["keys"]:
        key = parse_key(vkey)
        need(signed(body, signatures, key), f"{key[0]} ({key[1]}) did not sign checkpoint.txt")
        expected[f"keys/{key[1]}.vkey"] = f"{vkey}\n".encode()
        expected[f"keys/{key[1]}.pem"] = pem(key[2])
    need(manifest["keys"], "bundle.json: no key")

    events = []
    for seq in manifest["events"]:
        need(type(seq) is int and seq >= 0, "bundle.json: an event without a number")
        need(not any(seq == other for other, _, _ in events), f"bundle.json: event {seq} is there twice")
        events.append((seq, *check_event(files, seq, (note, size, root))))
        expected[f"events/{seq}.json"] = files[f"events/{seq}.json"]
        expected[f"proofs/{seq}.tlog-proof"] = files[f"proofs/{seq}.tlog-proof"]
    # A key that was replaced vouches for no more than it could see, and has no say in what came after.
    until = {told["replaces"]: seq + 1 for seq, _, told in reversed(events) if replaces_a_key(told)}
    for vkey, size_ in pinned:
        if size_ is not None:
            until[vkey] = min(size_, until.get(vkey, size_))
    trusted, rotations = [vkey for vkey, size_ in pinned if size_ is None], []
    for seq in sorted(manifest.get("rotations", [])):
        event = [(bytes_, told) for other, bytes_, told in events if other == seq]
        need(event, f"rotations/{seq}.tlog-proof: events/{seq}.json is missing")
        old, new = check_rotation(files, seq, event[0], origin)
        expected[f"rotations/{seq}.tlog-proof"] = files[f"rotations/{seq}.tlog-proof"]
        if old in trusted:
            trusted.append(new)
            rotations.append(seq)

    def counting(vkeys):
        """Those that signed, if a key of the log's own is among them: a cosigner says nothing alone."""
        signers = [vkey for vkey in vkeys if signed(body, signatures, parse_key(vkey))]
        counts = [vkey for vkey in signers if size <= until.get(vkey, size)]
        if any(parse_key(vkey)[0] == origin for vkey in counts):
            return counts, None
        late = [vkey for vkey in signers if vkey not in counts]
        if late:
            return [], f"{late[0]} was replaced: it vouches for the first {until[late[0]]} events, and there are {size}"
        alone = f"{signers[0]} alone signed, a cosigner: no key of the log did that is known here" if signers else None
        return [], alone

    given, refused = counting([vkey for vkey, _ in pinned])
    counted = given or counting(trusted)[0]
    if not pinned:
        refused = counting(manifest["keys"])[1]
        need(refused is None, f"checkpoint.txt: {refused}")
    replaced = [told for _, _, told in events if replaces_a_key(told) and told["replaces"] in trusted]
    hint = f" (replaced by {replaced[-1]['key']}: have that confirmed on another way)" if replaced else ""
    need(counted or not pinned or not refused or hint, f"checkpoint.txt: {refused}")
    need(counted or not pinned, f"none of the keys given with --key signed checkpoint.txt{hint}")
    made, answers, refused_answers, issued = evidence(sorted((seq, event) for seq, _, event in events))
    expected.update(made)
    for name in sorted(expected):
        need(name in files, f"{name} is missing")
        need(files[name] == expected[name], f"{name} is not what the rest of the bundle makes of it")
    for name in sorted(files):
        need(name in expected, f"{name} does not belong here")
    signed_parts = ("seq", "certificate", "challenge", "signature", "scheme")
    for answer in answers:
        good = verifies(*(answer[part] for part in signed_parts))
        need(good, f"event {answer['seq']}: the chip's signature does not verify")
        check_challenge(answer)
        check_path(answer)
    for answer in refused_answers:
        good = verifies(*(answer[part] for part in signed_parts))
        need(not good, f"event {answer['seq']}: the answer that it refuses verifies")
        check_challenge(answer)
    for each in issued:
        check_issued(*each)
    for disclosure in manifest.get("disclosures", []):
        check_disclosure(disclosure, [event for _, event, _ in events])
    unit = manifest["unit"]
    runs = check_runs(sorted((seq, event) for seq, _, event in events), unit)

    say(f"unit: {unit['product']} {unit['serial']}")
    for run, ended in runs.items():
        say(f"run {run}: {ended}")
    say(f"log: {origin}, {size} events, root {root.hex()}")
    say(f"proven events: {', '.join(str(seq) for seq, _, _ in events)}")
    whole = sum(1 for answer in answers if answer["issuers"])
    say(f"chips' signatures verified: {len(answers)}, {whole} of them with the path to a certificate that was pinned")
    for disclosure in manifest.get("disclosures", []):
        shown = json.dumps(disclosure["text"]) if disclosure["state"] == "revealed" else "forgotten"
        say(f"{disclosure['sha256']}: {shown}")
    for vkey in counted or manifest["keys"]:
        say(f"signed by: {vkey}")
    if given:
        say("OK: everything holds, under a key that you gave.")
    elif counted:
        by = ", ".join(str(seq) for seq in rotations)
        say(f"OK: everything holds, under a successor of a key that you gave (which signed for it: event {by}).")
    else:
        say("OK: everything holds, if the keys above are whose you think. They came with the bundle: compare them.")


def main():
    arguments = argparse.ArgumentParser(description="Checks a Lineseal proof bundle offline.")
    arguments.add_argument("--key", action="append", default=[], help="a key that you had before, or a file of them")
    arguments.add_argument("folder", nargs="?", default=os.path.dirname(os.path.abspath(__file__)))
    given = arguments.parse_args()
    try:
        check(given.folder, given_keys(given.key))
    except Wrong as wrong:
        say(f"WRONG: {wrong}")
        return 1
    except MISSHAPEN as error:
        say(f"WRONG: the bundle is not of the form it should have ({type(error).__name__}: {error})")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
