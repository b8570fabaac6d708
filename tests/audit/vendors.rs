//! Bundles with certificates of vendors who write what OpenSSL can't read, or would not accept today.

use std::process::Command;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use lineseal::audit::bundle::{File, verify, write};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};

use crate::by_hand::{folder, readme, verify_py};
use crate::independent::venv;
use crate::sample::{Chip, contents_of, few_files};

/// AlgorithmIdentifier of ecdsa-with-SHA256.
const ECDSA_SHA256: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// The factory took the chip; years later the bundle must not call that a forgery, whatever OpenSSL would
/// rather have: who signed whom is all that it says.
#[test]
fn a_certificate_that_openssl_refuses_is_checked_by_who_signed_it() {
    // It names another serial number of its issuer: that was signed by two CAs, or was renewed.
    let renewed = CustomExtension::from_oid_content(&[2, 5, 29, 35], vec![0x30, 3, 0x82, 1, 99]);
    let chips = vec![Chip::of(|key| issued(key, vec![renewed], |_| ()))];
    for chip in &chips {
        assert!(!openssl_accepts(&chip.certificate, &chip.issuers[0]));
    }
    accepted(&write(&contents_of(chips)).unwrap());
}

#[test]
fn every_signature_algorithm_that_is_accepted_is_checked_by_other_tools() {
    let rsa = ["sha256", "sha384", "sha512"].map(|digest| Chip::of(|key| issued_by_rsa(key, digest, false)));
    let pss = ["sha256", "sha384", "sha512"].map(|digest| Chip::of(|key| issued_by_rsa(key, digest, true)));
    accepted(&write(&contents_of(rsa.into_iter().chain(pss).collect())).unwrap());
}

/// A certificate with one bit flipped, told as it then is: only the issuer's signature can find that.
#[test]
fn a_certificate_that_the_issuer_did_not_sign_is_refused_by_verify_py() {
    let folder = folder(&few_files());
    let script = "import hashlib, json, os, sys
sys.path.insert(0, sys.argv[1])
import verify
events = []
for name in os.listdir(sys.argv[1] + '/events'):
    events.append((int(name[:-5]), json.load(open(sys.argv[1] + '/events/' + name))))
answer = verify.evidence(sorted(events, key=lambda it: it[0]))[1][0]
verify.check_path(answer)
def refused(answer):
    try:
        verify.check_path(answer)
        return False
    except (verify.Wrong,) + verify.MISSHAPEN:
        return True
honest, tried = answer['certificate'], 0
for at in range(0, len(honest), 7):
    flipped = bytearray(honest)
    flipped[at] ^= 1
    flipped = bytes(flipped)
    try:
        spki = hashlib.sha256(verify.parts(flipped, '')['spki']).hexdigest()
    except (verify.Wrong,) + verify.MISSHAPEN:
        continue
    path = [hashlib.sha256(flipped).hexdigest()] + answer['decision']['path'][1:]
    told = dict(answer, certificate=flipped, decision=dict(answer['decision'], path=path, spki=spki))
    assert refused(told), at
    tried += 1
assert tried > 40, tried
assert refused(dict(answer, issuers=answer['issuers'][::-1]))
assert refused(dict(answer, issuers=answer['issuers'][1:]))
";
    let mut python = Command::new(venv().join("bin/python"));
    let output = python.args(["-B", "-c", script]).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn accepted(files: &[File]) {
    let report = verify(files, None).unwrap();
    assert_eq!(report.paths, report.chip_answers);
    let folder = folder(files);
    for output in [verify_py(files, folder.path(), &[]), readme(files, folder.path())] {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The certificate, and its one issuer's.
fn issued(key: &KeyPair, extensions: Vec<CustomExtension>, change: fn(&mut [u8])) -> (Vec<u8>, Vec<Vec<u8>>) {
    let ca_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "odd vendor");
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "chip ~");
    params.custom_extensions = extensions;
    let der = params.signed_by(key, &issuer).unwrap().der().to_vec();
    (signed_again(&der, issuer.key(), change), vec![ca.der().to_vec()])
}

/// With what is signed as `change` leaves it.
fn signed_again(der: &[u8], key: &KeyPair, change: fn(&mut [u8])) -> Vec<u8> {
    let end = der.windows(ECDSA_SHA256.len()).rposition(|window| window == ECDSA_SHA256).unwrap();
    let mut tbs = der[4..end].to_vec();
    change(&mut tbs);
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.serialize_der()).unwrap();
    let signature = pair.sign(&SystemRandom::new(), &tbs).unwrap();
    let signature = signature.as_ref();
    let bits = [&[3, u8::try_from(signature.len() + 1).unwrap(), 0], signature].concat();
    let body = [&tbs[..], &ECDSA_SHA256, &bits].concat();
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82], &length[..], &body].concat()
}

fn issued_by_rsa(key: &KeyPair, digest: &str, pss: bool) -> (Vec<u8>, Vec<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("chip.key"), key.serialize_pem()).unwrap();
    let ca = "req -x509 -newkey rsa:2048 -nodes -subj /CN=rsa -keyout ca.key -out ca.pem";
    let csr = "req -new -key chip.key -subj /CN=chip -out chip.csr";
    let salt = match digest {
        "sha256" => 32,
        "sha384" => 48,
        _ => 64,
    };
    let mut issue = format!("x509 -req -in chip.csr -CA ca.pem -CAkey ca.key -{digest} -outform DER -out chip.der");
    if pss {
        issue += &format!(" -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:{salt}");
    }
    for command in [ca, csr, &issue, "x509 -in ca.pem -outform DER -out ca.der"] {
        let output = Command::new("openssl").args(command.split(' ')).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    (std::fs::read(path("chip.der")).unwrap(), vec![std::fs::read(path("ca.der")).unwrap()])
}

fn openssl_accepts(certificate: &[u8], issuer: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chip"), certificate).unwrap();
    std::fs::write(folder.path().join("issuer"), issuer).unwrap();
    let arguments = ["verify", "-no_check_time", "-partial_chain", "-trusted", "issuer", "chip"];
    Command::new("openssl").args(arguments).current_dir(folder.path()).output().unwrap().status.success()
}
