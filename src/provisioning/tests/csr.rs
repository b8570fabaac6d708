//! A certificate that is made for the chip's key: what goes out, what may come back, and what stands for the unit
//! from then on.

use super::world::{CHIPS, Call, World, failing, failure, made, record_of, refused};
use crate::audit::RunEvent;
use crate::audit::event::IssuedOrigin;
use crate::audit::x509::ecdsa_der;
use crate::domain::profile::{ConnectMode, WriteBack};
use crate::domain::{Bytes, Fingerprint, ReasonCode, SpkiHash, Verdict};
use crate::ports::{Kept, Made};
use crate::provisioning::{Effect, Input, Run, UnitRecord, csr, label_variables};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::request::CertReq;

fn reason(run: &Run) -> Option<ReasonCode> {
    run.sealed.as_ref()?.reason.as_ref().map(|failure| failure.code)
}

/// The issuer answers so.
fn answering(answer: impl Fn() -> Made + 'static) -> World {
    let mut world = World::with_request();
    world.script = Box::new(move |_, effect| match effect {
        Effect::Issue(asked) => Some(Input::Issued(asked.target.clone(), Box::new(Ok(answer())))),
        _ => None,
    });
    world
}

#[test]
fn the_request_is_signed_by_the_chip_recorded_and_answered_before_anything_is_registered() {
    let mut world = World::with_request();
    let run = world.begin();
    let from = world.told.iter().position(|line| line.contains("request-made")).unwrap();
    assert_eq!(
        world.told[from..from + 6].join("\n"),
        "record challenge-answered before-register, request-made gw-A-0001 in one
sign EcdsaSecp256r1Sha256
record certificate-requested one
issue for gw-A-0001 in one
record certificate-issued one, register-intended gw-A-0001 in one
register gw-A-0001 in one"
    );
    assert_eq!(run.verdict(), Some(Verdict::Pass));
    let issued = run.issued.as_ref().unwrap();
    assert_eq!(run.intent.as_ref().unwrap().fingerprint, issued.fingerprint);
    assert_ne!(issued.fingerprint, CHIPS[0].fingerprint());

    let request = world.events().find_map(|event| match event {
        RunEvent::CertificateRequested { request, .. } => Some(request.clone()),
        _ => None,
    });
    let request = CertReq::from_der(&request.unwrap()).unwrap();
    assert_eq!(request.info.subject.to_string(), "CN=gw-A-0001");
    assert_eq!(SpkiHash::of(&request.info.public_key.to_der().unwrap()), CHIPS[0].identity().spki);
    let key = request.info.public_key.subject_public_key.raw_bytes();
    let verified = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1, key)
        .verify(&request.info.to_der().unwrap(), request.signature.raw_bytes());
    assert!(verified.is_ok(), "whoever makes the certificate verifies it");
}

/// What is said of the unit from then on is of the certificate that was made.
#[test]
fn the_certificate_that_was_made_connects_and_stands_on_label_and_record() {
    let mut world = World::with_request();
    world.profile.connect = Some(super::world::connect(ConnectMode::Required));
    let (sender, trials) = std::sync::mpsc::sync_channel(4);
    world.script = Box::new(move |_, effect| {
        if let Effect::Connect(trial) = effect {
            sender.send(trial.clone()).unwrap();
        }
        None
    });
    let run = world.begin();
    let certificate = made(&CHIPS[0].key).certificate;
    assert_eq!(trials.try_iter().next().unwrap().chain, std::slice::from_ref(&certificate));
    let record = UnitRecord::of(&run).unwrap();
    let id = Fingerprint::of(&certificate).to_string();
    assert_eq!(record.issued.as_ref().unwrap().certificate.sha256, id);
    assert_eq!(record.certificate.unwrap().sha256, CHIPS[0].fingerprint().to_string());
    let variables = label_variables(&run, false, false, None);
    assert_eq!((&variables["certificate_id"], &variables["fingerprint"]), (&id, &CHIPS[0].fingerprint().to_string()));
}

#[test]
fn what_comes_back_for_another_key_or_as_no_certificate_is_never_registered() {
    let cut = || {
        let mut made = made(&CHIPS[0].key);
        made.certificate.0.pop();
        made
    };
    let of = |certificate: Bytes| Made { certificate, chain: Vec::new(), origin: IssuedOrigin::Made };
    let cases: Vec<(World, ReasonCode)> = vec![
        (answering(|| made(&CHIPS[1].key)), ReasonCode::ISSUED_OTHER_KEY),
        (answering(cut), ReasonCode::ISSUED_UNUSABLE),
        (answering(move || of(Bytes(b"no certificate".to_vec()))), ReasonCode::ISSUED_UNUSABLE),
        (answering(move || of(CHIPS[0].reading.certificate.clone())), ReasonCode::ISSUED_UNUSABLE),
    ];
    for (mut world, code) in cases {
        let run = world.begin();
        assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Error], Some(code)));
        assert_eq!(world.count(Call::Register), 0, "{code}");
        assert!(run.issued.is_none() && run.intent.is_none());
    }
}

/// Only its board could ask once more: there is no blue tray for it.
#[test]
fn a_unit_whose_certificate_is_made_on_the_way_never_waits_for_the_cloud() {
    for code in [ReasonCode::CLOUD_UNREACHABLE, ReasonCode::CLOUD_NOT_YET] {
        let mut world = World::with_request();
        world.script = Box::new(move |_, effect| match effect {
            Effect::Issue(_) => Some(failing(effect, failure(code))),
            _ => None,
        });
        let run = world.begin();
        assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Error), Some(ReasonCode::CLOUD_STOPS_LINE)));
        let mut world = World::with_request();
        world.script = Box::new(move |_, effect| match effect {
            Effect::Register(asked) => Some(refused(asked, failure(code), false)),
            _ => None,
        });
        let run = world.begin();
        assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Error), Some(ReasonCode::CLOUD_STOPS_LINE)));
        // Nor where the profile says otherwise by then.
        world.profile.register.offline = crate::domain::profile::Offline::Hold;
        let mut again = World::with_request();
        again.profile = world.profile;
        again.script = world.script;
        assert_eq!(again.begin().verdict(), Some(Verdict::Error));
    }
}

#[test]
fn a_unit_that_fails_after_that_has_what_was_made_set_inactive() {
    let mut world = World::with_request();
    world.script = Box::new(|_, effect| match effect {
        Effect::Register(asked) => Some(refused(asked, failure(ReasonCode::THING_FOREIGN), true)),
        Effect::Deactivate { certificate, .. } => {
            assert_eq!(*certificate, Fingerprint::of(&made(&CHIPS[0].key).certificate));
            None
        }
        _ => None,
    });
    assert_eq!(world.begin().verdict(), Some(Verdict::Fail));
    assert_eq!(world.count(Call::Deactivate), 1);
}

/// A chip that signs the challenges and not the request.
#[test]
fn a_request_that_the_chip_did_not_sign_goes_nowhere() {
    let mut world = World::with_request();
    world.script = Box::new(|call, effect| match effect {
        // Identify, read, sign, claim, read, sign: then the request.
        Effect::Sign { .. } if call == 6 => Some(Input::Signed(Ok(vec![1; 64]))),
        _ => None,
    });
    let run = world.begin();
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Fail), Some(ReasonCode::CHIP_LACKS_KEY)));
    assert_eq!(world.count(Call::Issue), 0);
}

#[test]
fn the_log_takes_no_certificate_of_another_key_request_or_target() {
    let mut world = World::with_request();
    world.begin();
    let at = |kind: &str, world: &World| {
        world
            .log
            .iter()
            .position(|logged| String::from_utf8(logged.event.encode().unwrap()).unwrap().contains(kind))
            .unwrap()
    };
    let issued_at = at("\"certificate-issued\"", &world);
    let events: Vec<RunEvent> = world.events().cloned().collect();
    let RunEvent::CertificateIssued { issued } = &events[issued_at] else { panic!("{:?}", events[issued_at]) };
    let other = made(&CHIPS[1].key).certificate;
    let wrong = [
        crate::audit::event::IssuedCertificate {
            fingerprint: Fingerprint::of(&other),
            certificate: other.clone(),
            ..issued.clone()
        },
        crate::audit::event::IssuedCertificate { fingerprint: Fingerprint::of(&other), ..issued.clone() },
        crate::audit::event::IssuedCertificate {
            request: Some(crate::domain::Sha256::of(b"another")),
            ..issued.clone()
        },
        crate::audit::event::IssuedCertificate { request: None, ..issued.clone() },
        crate::audit::event::IssuedCertificate { target: "two".parse().unwrap(), ..issued.clone() },
    ];
    world.cut(issued_at);
    for issued in wrong {
        assert!(world.append(RunEvent::CertificateIssued { issued }).is_err());
    }
    world.append(events[issued_at].clone()).unwrap();
    // Neither another target nor the chip's own certificate is registered after that.
    let RunEvent::RegisterIntended { fingerprint, thing, connect, .. } = events[issued_at + 1].clone() else {
        panic!()
    };
    let targets = vec!["two".parse().unwrap()];
    let thing_of = || thing.clone();
    let intended = RunEvent::RegisterIntended { fingerprint, thing: thing_of(), targets, connect };
    assert!(world.append(intended).is_err());
    let targets = vec!["one".parse().unwrap()];
    let fingerprint = CHIPS[0].fingerprint();
    assert!(world.append(RunEvent::RegisterIntended { fingerprint, thing, targets, connect }).is_err());
    world.append(events[issued_at + 1].clone()).unwrap();
    let own = RunEvent::Registered { target: record_of(&"one".parse().unwrap(), CHIPS[0].fingerprint(), &"gw-A-0001") };
    assert!(world.append(own).is_err(), "the chip's own certificate is not what was intended");
}

#[test]
fn a_thing_name_that_is_no_common_name_is_found_before_the_chip_is_touched() {
    let mut world = World::with_request();
    let long = format!("{}-{{serial}}", "x".repeat(70));
    world.profile.register.thing_name = crate::domain::Template::parse(&long).unwrap();
    let run = world.begin();
    assert_eq!((reason(&run), world.count(Call::Read)), (Some(ReasonCode::CONFIG_VALUE), 0));
}

/// Of a P-256 and an RSA key: what the parser of certificates and requests reads back.
#[test]
fn requests_read_back_for_each_kind_of_key() {
    let ec = rcgen::KeyPair::generate().unwrap();
    let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    for (key, scheme, length) in [
        (&ec, crate::audit::event::SignatureScheme::EcdsaSecp256r1Sha256, 64),
        (&rsa, crate::audit::event::SignatureScheme::RsaPkcs1Sha256, 256),
    ] {
        let spki = rcgen::PublicKeyData::subject_public_key_info(key);
        let info = csr::info(&spki, &"gw:A_1".parse().unwrap()).unwrap();
        let signature = vec![0x7f; length];
        let request = csr::signed(&info, scheme, &signature);
        assert!(csr::asks(&request, &info) && !csr::asks(&request, &spki));
        let read = CertReq::from_der(&request).unwrap();
        let expected = if length == 64 { ecdsa_der(&signature) } else { signature };
        assert_eq!(read.signature.raw_bytes(), expected);
        assert_eq!(read.info.subject.to_string(), "CN=gw:A_1");
    }
}

/// Whatever the token does with it: no PASS where the profile insists, and a note where it does not.
#[test]
fn the_token_keeps_the_certificate_or_the_profile_does_not_insist() {
    for (mode, answer, verdict, code) in [
        (WriteBack::Required, Ok(Kept::Written), Verdict::Pass, None),
        (WriteBack::Required, Ok(Kept::Found), Verdict::Pass, None),
        (WriteBack::Optional, Ok(Kept::Refused("C_CreateObject".into())), Verdict::Pass, None),
        (
            WriteBack::Required,
            Ok(Kept::Refused("C_CreateObject".into())),
            Verdict::Error,
            Some(ReasonCode::WRITE_BACK_REFUSED),
        ),
        (WriteBack::Optional, Err(failure(ReasonCode::TOKEN_LOST)), Verdict::Error, Some(ReasonCode::TOKEN_LOST)),
    ] {
        let mut world = World::with_write_back(mode);
        world.profile.connect = Some(super::world::connect(ConnectMode::Required));
        let said = answer.clone();
        world.script = Box::new(move |_, effect| match effect {
            Effect::Keep { .. } => Some(Input::Kept(said.clone())),
            _ => None,
        });
        let run = world.begin();
        assert_eq!((run.verdict(), reason(&run)), (Some(verdict), code), "{mode:?} {answer:?}");
        let record = UnitRecord::of(&run).unwrap().issued.unwrap();
        let refused = matches!(answer, Ok(Kept::Refused(_)));
        assert_eq!(record.kept_as.is_some(), verdict == Verdict::Pass && !refused);
        assert_eq!(record.not_kept.as_deref(), (verdict == Verdict::Pass && refused).then_some("A-355"));
        let order = |call| world.calls.iter().position(|made| *made == call);
        assert!(order(Call::Register) < order(Call::Keep), "it is recorded and registered before it is written");
    }
}

/// The chip shows itself with its CA, and what AWS makes of that is read back in the place of a registration.
#[test]
fn a_unit_that_aws_registers_by_itself_is_introduced_by_its_own_key() {
    let mut world = World::joining();
    let (sender, joins) = std::sync::mpsc::sync_channel(4);
    world.script = Box::new(move |_, effect| {
        if let Effect::Join(join) = effect {
            sender.send(join.trial.clone()).unwrap();
        }
        None
    });
    let run = world.begin();
    assert_eq!((run.verdict(), world.count(Call::Register)), (Some(Verdict::Pass), 0));
    let trial = joins.try_iter().next().unwrap();
    let ca = world.profile.register.method.ca().unwrap().certificate.clone();
    assert_eq!(trial.chain, [CHIPS[0].reading.certificate.clone(), ca]);
    assert_eq!((trial.thing.as_str(), &trial.refused_topic), ("gw-A-0001", &None));

    for (code, verdict, told) in [
        (ReasonCode::CLOUD_UNREACHABLE, Verdict::Error, ReasonCode::CLOUD_STOPS_LINE),
        (ReasonCode::JOIN_NOT_YET, Verdict::Error, ReasonCode::JOIN_NOT_YET),
        (ReasonCode::JOIN_OTHERWISE, Verdict::Fail, ReasonCode::JOIN_OTHERWISE),
    ] {
        let mut world = World::joining();
        world.script = Box::new(move |_, effect| match effect {
            Effect::Join(join) => Some(refused(&join.registration, failure(code), true)),
            _ => None,
        });
        let run = world.begin();
        assert_eq!((run.verdict(), reason(&run)), (Some(verdict), Some(told)));
        assert_eq!(world.count(Call::Deactivate), usize::from(verdict == Verdict::Fail));
    }
}
