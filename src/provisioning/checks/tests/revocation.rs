//! Revocation lists, and intermediates that have expired.

use super::forge::{Key, List, NULL, Tbs, extension, key_usage, name, sequence, time, tlv};
use super::*;
use crate::domain::profile::Crl;
use crate::domain::{Fingerprint, Sha256};
use crate::provisioning::checks::check_trust;

/// The serial number of every forged certificate.
const SERIAL: &[u8] = &[0x12, 0x34, 0x56];

fn with_lists(trust: Trust, lists: &[&[u8]]) -> Trust {
    let file = |n| format!("list-{}.crl", n + 1).into();
    let crls = lists.iter().enumerate().map(|(n, der)| Crl { file: file(n), der: der.to_vec() }).collect();
    Trust { crls, ..trust }
}

impl Vendor {
    fn chip(&self) -> Vec<u8> {
        self.issue(self.leaf(&Key::new(KeyKind::EcP256)))
    }

    fn list(&self) -> List {
        List::of(ISSUER)
    }

    fn root_list(&self) -> Vec<u8> {
        List::of(ROOT).sign(&self.root_key)
    }

    /// The root's list names nobody; `list` is the intermediate's.
    fn listing(&self, list: List) -> Trust {
        with_lists(self.trust(), &[&self.root_list(), &list.sign(&self.issuer_key)])
    }
}

#[test]
fn a_revoked_chip_fails_and_the_log_says_by_which_list() {
    let vendor = Vendor::new();
    let chip = vendor.chip();
    let list = vendor.list().naming(SERIAL).sign(&vendor.issuer_key);
    let trust = with_lists(vendor.trust(), &[&vendor.root_list(), &list]);
    let failure = refused(check(&chip, &trust), ReasonCode::CERTIFICATE_REVOKED);
    assert_eq!(failure.args["subject"], format!("CN={CHIP},O=Forge"));
    assert_eq!(failure.args["crl_issuer"], format!("CN={ISSUER},O=Forge"));
    assert_eq!(failure.args["crl_number"], "07");
    assert_eq!(failure.args["crl_this_update"], "2026-01-01T00:00:00Z");
    assert_eq!(failure.args["crl_sha256"], Sha256::of(&list).to_string());
    assert_eq!(failure.args["revoked"], "2026-03-01T00:00:00Z");

    // A neighbour's number is not this chip's.
    let other = vendor.list().naming(&[0x12, 0x34, 0x57]).sign(&vendor.issuer_key);
    let checked = passes(&chip, &with_lists(vendor.trust(), &[&vendor.root_list(), &other]));
    let asked: Vec<_> = checked.decision.crls.iter().map(|crl| crl.sha256).collect();
    assert!(asked.contains(&Sha256::of(&other)) && asked.len() == 2);
    // Without lists nobody is asked, and the log says so.
    assert!(passes(&chip, &vendor.trust()).decision.crls.is_empty());
}

#[test]
fn a_revoked_intermediate_fails_every_chip_below_it_unless_another_path_holds() {
    let vendor = Vendor::new();
    let chip = vendor.chip();
    let root_list = List::of(ROOT).naming(SERIAL).sign(&vendor.root_key);
    let own = vendor.list().sign(&vendor.issuer_key);
    let trust = with_lists(vendor.trust(), &[&root_list, &own]);
    let failure = refused(check(&chip, &trust), ReasonCode::CERTIFICATE_REVOKED);
    assert_eq!(failure.args["subject"], format!("CN={ISSUER},O=Forge"));
    // Only the chip's own certificate is asked about.
    passes(&chip, &Trust { crl_coverage: CrlCoverage::Leaf, ..trust });

    let renewed = Tbs { serial: vec![9], ..Tbs::ca(ISSUER, ROOT, &vendor.issuer_key) }.sign(&vendor.root_key);
    for pair in [[&vendor.issuer, &renewed], [&renewed, &vendor.issuer]] {
        let trust = with_lists(super::trust(&[&vendor.root], &[pair[0], pair[1]]), &[&root_list, &own]);
        assert_eq!(passes(&chip, &trust).decision.path[1], Fingerprint::of(&renewed));
    }
}

#[test]
fn an_expired_list_stops_the_line_and_fails_no_chip() {
    let vendor = Vendor::new();
    let chip = vendor.chip();
    let trust = vendor.listing(vendor.list().made("260101000000Z", "260601120000Z"));
    let failure = refused(check(&chip, &trust), ReasonCode::CRL_UNUSABLE);
    assert_eq!(failure.args["file"], "list-2.crl");
    assert_eq!(ReasonCode::CRL_UNUSABLE.verdict(), crate::domain::Verdict::Error);
    assert_eq!(check_trust(&trust, at(NOW)).unwrap_err().args["file"], "list-2.crl");
    // A second earlier it still counts.
    let before = at("2026-06-01T11:59:59Z");
    assert!(check_at(&chip, None, &trust, before).is_ok() && check_trust(&trust, before).is_ok());
    // Not even where it would have named the chip, and never before the chip's CA is known.
    let naming = vendor.listing(vendor.list().made("260101000000Z", "260601120000Z").naming(SERIAL));
    refused(check(&chip, &naming), ReasonCode::CRL_UNUSABLE);
    refused(check(&Vendor::new().chip(), &trust), ReasonCode::CERTIFICATE_FOREIGN_CA);
}

/// Expired in the middle of a shift: the station goes on with the boards that have nothing to do with it, and a
/// person who asks about one is told the same ([`check_at`](super::check_at)).
#[test]
fn a_list_of_another_ca_that_expires_changes_nothing_for_this_chip() {
    let (ours, theirs) = (Vendor::new(), Vendor::new());
    let other = Tbs::ca("Other", "Other Root", &theirs.issuer_key).sign(&theirs.root_key);
    let other_root = Tbs::ca("Other Root", "Other Root", &theirs.root_key).sign(&theirs.root_key);
    let both = super::trust(&[&ours.root, &other_root], &[&ours.issuer, &other]);
    let expired = List::of("Other").made("260101000000Z", "260601120000Z").sign(&theirs.issuer_key);
    let own = ours.list().sign(&ours.issuer_key);
    let trust = with_lists(both, &[&ours.root_list(), &own, &expired]);
    passes(&ours.chip(), &trust);
    let chip = Tbs::leaf(CHIP, "Other", &Key::new(KeyKind::EcP256)).sign(&theirs.issuer_key);
    refused(check(&chip, &trust), ReasonCode::CRL_UNUSABLE);
    // None starts with it.
    assert_eq!(check_trust(&trust, at(NOW)).unwrap_err().args["file"], "list-3.crl");
}

#[test]
fn the_newest_list_of_a_ca_decides_in_whatever_order_they_are_given() {
    let vendor = Vendor::new();
    let chip = vendor.chip();
    // The old one has expired as well: that no longer matters to anyone.
    let old = vendor.list().made("250101000000Z", "260101000000Z").sign(&vendor.issuer_key);
    let new = vendor.list().made("260501000000Z", "270101000000Z").naming(SERIAL).sign(&vendor.issuer_key);
    let none = vendor.list().made("260501000000Z", "270101000000Z").sign(&vendor.issuer_key);
    for (new, passing) in [(&new, false), (&none, true)] {
        for pair in [[&old, new], [new, &old]] {
            let trust = with_lists(vendor.trust(), &[&vendor.root_list(), pair[0], pair[1]]);
            assert!(check_trust(&trust, at(NOW)).is_ok());
            match passing {
                true => drop(passes(&chip, &trust)),
                false => drop(refused(check(&chip, &trust), ReasonCode::CERTIFICATE_REVOKED)),
            }
        }
    }
}

/// The verifier compares serial numbers byte by byte: in such an entry it would never find the chip.
#[test]
fn a_list_that_names_a_number_in_a_form_of_its_own_counts_for_nothing() {
    let vendor = Vendor::new();
    for serial in [&[0, 0x12, 0x34, 0x56][..], &[0xff, 0xff, 0x12], &[]] {
        let trust = vendor.listing(vendor.list().naming(&[9]).naming(serial));
        let failure = refused(check(&vendor.chip(), &trust), ReasonCode::CRL_UNUSABLE);
        assert_eq!(failure.args["file"], "list-2.crl");
        assert!(failure.cause.contains("its entry 2"), "{failure}");
        assert_eq!(check_trust(&trust, at(NOW)), Err(failure));
    }
    passes(&vendor.chip(), &vendor.listing(vendor.list().naming(&[0, 0x92, 0x34, 0x56])));
}

/// A CA that dates its lists by the day makes two of one second.
#[test]
fn of_two_lists_of_one_time_the_greater_number_counts_in_whichever_order_they_are_given() {
    let vendor = Vendor::new();
    let chip = vendor.chip();
    let root_list = vendor.root_list();
    let numbered = |number, list: List| List { number, ..list }.sign(&vendor.issuer_key);
    let older = numbered(9, vendor.list());
    let newer = numbered(10, vendor.list().naming(SERIAL));
    for pair in [[&older, &newer], [&newer, &older]] {
        let trust = with_lists(vendor.trust(), &[&root_list, pair[0], pair[1]]);
        refused(check(&chip, &trust), ReasonCode::CERTIFICATE_REVOKED);
    }
    // Which of two that are equally new counts, nobody can say; one and the same given twice is one.
    let twin = numbered(10, vendor.list());
    let trust = with_lists(vendor.trust(), &[&root_list, &newer, &twin]);
    let failure = refused(check(&chip, &trust), ReasonCode::CRL_UNUSABLE);
    assert!(failure.cause.contains("list-2.crl") && failure.cause.contains("list-3.crl"), "{failure}");
    let trust = with_lists(vendor.trust(), &[&root_list, &twin, &twin]);
    passes(&chip, &trust);
}

#[test]
fn a_list_of_the_future_replaces_none_and_alone_stops_the_line() {
    let vendor = Vendor::new();
    let chip = vendor.chip();
    let today = vendor.list().naming(SERIAL).sign(&vendor.issuer_key);
    // A day is what clocks may differ by.
    let (early, late) = ("260602120000Z", "260602120001Z");
    let made = |this: &str| vendor.list().made(this, "280101000000Z").sign(&vendor.issuer_key);
    for pair in [[&today, &made(late)], [&made(late), &today]] {
        let trust = with_lists(vendor.trust(), &[&vendor.root_list(), pair[0], pair[1]]);
        assert!(check_trust(&trust, at(NOW)).is_ok());
        refused(check(&chip, &trust), ReasonCode::CERTIFICATE_REVOKED);
    }
    passes(&chip, &with_lists(vendor.trust(), &[&vendor.root_list(), &today, &made(early)]));
    // Once its day has come it is the newest.
    let both = with_lists(vendor.trust(), &[&vendor.root_list(), &today, &made(late)]);
    assert!(check_at(&chip, None, &both, at("2026-06-01T12:00:01Z")).is_ok());

    for crl_coverage in [CrlCoverage::Chain, CrlCoverage::Leaf, CrlCoverage::Listed] {
        let alone = with_lists(vendor.trust(), &[&vendor.root_list(), &made(late)]);
        let alone = Trust { crl_coverage, ..alone };
        let failure = refused(check(&chip, &alone), ReasonCode::CRL_UNUSABLE);
        assert_eq!(failure.args["this_update"], "2026-06-02T12:00:01Z");
        assert_eq!(check_trust(&alone, at(NOW)), Err(failure));
    }
    // Nor does one of the future stand in for one that has expired.
    let expired = vendor.list().made("260101000000Z", "260601120000Z").sign(&vendor.issuer_key);
    let trust = with_lists(vendor.trust(), &[&vendor.root_list(), &expired, &made(late)]);
    let failure = refused(check(&chip, &trust), ReasonCode::CRL_UNUSABLE);
    assert_eq!(failure.args["next_update"], "2026-06-01T12:00:00Z");
}

#[test]
fn whichever_list_of_its_ca_names_a_chip_it_is_revoked() {
    let vendor = Vendor::new();
    let chip = vendor.chip();
    let naming = |list: List| list.naming(SERIAL).sign(&vendor.issuer_key);
    let newer = vendor.list().made("260301000000Z", "280101000000Z").sign(&vendor.issuer_key);
    let ahead = vendor.list().made("260901000000Z", "280101000000Z");
    let uri = tlv(0xa0, &tlv(0xa0, &tlv(0x86, b"http://vendor.example/crl")));
    let of_users = || vendor.list().with(extension("2.5.29.28", true, &sequence(&[&uri, &tlv(0x81, &[0xff])])));
    for (names, says_nothing) in [
        // A newer list of another scope does not speak for the older, in whatever order.
        (naming(of_users()), newer.clone()),
        (naming(vendor.list()), of_users().made("260301000000Z", "280101000000Z").sign(&vendor.issuer_key)),
        // Nor does one of today for the next one that its CA has signed.
        (naming(ahead), newer),
    ] {
        for pair in [[&names, &says_nothing], [&says_nothing, &names]] {
            let trust = with_lists(vendor.trust(), &[&vendor.root_list(), pair[0], pair[1]]);
            let failure = refused(check(&chip, &trust), ReasonCode::CERTIFICATE_REVOKED);
            assert_eq!(failure.args["crl_sha256"], Sha256::of(&names).to_string());
        }
        passes(&chip, &with_lists(vendor.trust(), &[&vendor.root_list(), &says_nothing]));
    }
}

#[test]
fn a_list_that_no_pinned_ca_has_signed_is_the_profiles_mistake() {
    let vendor = Vendor::new();
    let chip = vendor.chip();
    let stranger = Key::new(KeyKind::EcP256);
    let forged = vendor.list().sign(&stranger);
    let foreign = List::of("Somebody").sign(&stranger);
    let mut bent = vendor.list().sign(&vendor.issuer_key);
    *bent.last_mut().unwrap() ^= 1;
    for bad in [forged, foreign, bent, b"no list".to_vec()] {
        let trust = with_lists(vendor.trust(), &[&vendor.root_list(), &bad]);
        let failure = refused(check(&chip, &trust), ReasonCode::CRL_UNUSABLE);
        assert_eq!(failure.args["file"], "list-2.crl");
        assert_eq!(check_trust(&trust, at(NOW)), Err(failure));
    }
    passes(&chip, &vendor.listing(vendor.list()));
    // The vendor's explicit NULL, in lists as in certificates.
    passes(&chip, &vendor.listing(List { null: true, ..vendor.list() }));
}

#[test]
fn every_certificate_of_a_path_needs_a_list_unless_the_profile_says_otherwise() {
    let vendor = Vendor::new();
    let chip = vendor.chip();
    let own = vendor.list().sign(&vendor.issuer_key);
    let cases: [(CrlCoverage, &[&[u8]], bool); 6] = [
        (CrlCoverage::Chain, &[&own], false),
        (CrlCoverage::Chain, &[&vendor.root_list()], false),
        (CrlCoverage::Leaf, &[&own], true),
        (CrlCoverage::Leaf, &[&vendor.root_list()], false),
        (CrlCoverage::Listed, &[&own], true),
        (CrlCoverage::Listed, &[&vendor.root_list()], true),
    ];
    for (crl_coverage, lists, good) in cases {
        let trust = Trust { crl_coverage, ..with_lists(vendor.trust(), lists) };
        // The line is told before a chip is.
        assert_eq!(check_trust(&trust, at(NOW)).is_ok(), good, "{crl_coverage:?}");
        match good {
            true => drop(passes(&chip, &trust)),
            false => drop(refused(check(&chip, &trust), ReasonCode::CRL_UNUSABLE)),
        }
    }
    // What is listed is still revoked.
    let naming = vendor.list().naming(SERIAL).sign(&vendor.issuer_key);
    let listed = Trust { crl_coverage: CrlCoverage::Listed, ..with_lists(vendor.trust(), &[&naming]) };
    refused(check(&chip, &listed), ReasonCode::CERTIFICATE_REVOKED);
}

#[test]
fn generations_of_one_ca_name_each_have_their_own_list() {
    let (first, second) = (Vendor::new(), Vendor::new());
    let both = super::trust(&[&first.root, &second.root], &[&first.issuer, &second.issuer]);
    let naming = second.list().naming(SERIAL).sign(&second.issuer_key);
    let lists = [first.root_list(), second.root_list(), first.list().sign(&first.issuer_key), naming];
    let forwards: Vec<&[u8]> = lists.iter().map(Vec::as_slice).collect();
    let backwards: Vec<&[u8]> = lists.iter().rev().map(Vec::as_slice).collect();
    for lists in [forwards, backwards] {
        let trust = with_lists(both.clone(), &lists);
        assert_eq!(passes(&first.chip(), &trust).decision.crls.len(), 2);
        refused(check(&second.chip(), &trust), ReasonCode::CERTIFICATE_REVOKED);
    }
}

#[test]
fn a_ca_that_may_not_sign_lists_has_none() {
    let vendor = Vendor::new();
    let chip = vendor.chip();
    let ca = |uses: &[u8]| {
        let issuer = Tbs::ca(ISSUER, ROOT, &vendor.issuer_key).with(key_usage(uses)).sign(&vendor.root_key);
        let root = Tbs::ca(ROOT, ROOT, &vendor.root_key).with(key_usage(uses)).sign(&vendor.root_key);
        [super::trust(&[&vendor.root], &[&issuer]), super::trust(&[&root], &[&vendor.issuer])]
    };
    let own = vendor.list().sign(&vendor.issuer_key);
    // keyCertSign alone, and with cRLSign: of the intermediate, and of the root.
    for trust in ca(&[5]) {
        let failure = refused(check(&chip, &with_lists(trust, &[&vendor.root_list(), &own])), ReasonCode::CRL_UNUSABLE);
        assert!(failure.cause.contains("cRLSign"), "{failure}");
    }
    for trust in ca(&[5, 6]) {
        passes(&chip, &with_lists(trust, &[&vendor.root_list(), &own]));
    }
}

#[test]
fn lists_of_kinds_that_can_not_be_judged_are_refused() {
    let vendor = Vendor::new();
    let delta = extension("2.5.29.27", true, &tlv(0x02, &[1]));
    let unknown = extension("1.3.6.1.4.1.99999.7", true, NULL);
    for odd in [delta, unknown] {
        let trust = vendor.listing(vendor.list().with(odd));
        refused(check(&vendor.chip(), &trust), ReasonCode::CRL_UNUSABLE);
    }
    passes(&vendor.chip(), &vendor.listing(vendor.list().with(extension("1.3.6.1.4.1.99999.7", false, NULL))));
    // A list for CA certificates only says nothing about chips.
    let scope = |only: u8| {
        let uri = tlv(0xa0, &tlv(0xa0, &tlv(0x86, b"http://vendor.example/crl")));
        extension("2.5.29.28", true, &sequence(&[&uri, &tlv(only, &[0xff])]))
    };
    let (users, cas) = (scope(0x81), scope(0x82));
    passes(&vendor.chip(), &vendor.listing(vendor.list().with(users)));
    refused(check(&vendor.chip(), &vendor.listing(vendor.list().with(cas))), ReasonCode::CRL_UNUSABLE);
}

/// IssuingDistributionPoint of nothing but these parts.
fn for_only(parts: &[&[u8]]) -> Vec<u8> {
    extension("2.5.29.28", true, &sequence(parts))
}

const USERS: &[u8] = &[0x81, 1, 0xff];
const CAS: &[u8] = &[0x82, 1, 0xff];

#[test]
fn a_list_of_chips_or_of_cas_needs_no_name_and_says_of_the_others_nothing() {
    let vendor = Vendor::new();
    let uri = tlv(0xa0, &tlv(0xa0, &tlv(0x86, b"http://vendor.example/crl")));
    let points = extension("2.5.29.31", false, &sequence(&[&sequence(&[&uri])]));
    let named = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)).with(points));
    let list = |of: &str, key: &Key, scope: Option<&[u8]>| {
        let list = List::of(of);
        scope.map_or(list.clone(), |scope| list.with(for_only(&[scope]))).sign(key)
    };
    // Of the root, which has issued a CA; of that, which has issued the chip.
    let cases = [Some(USERS), Some(CAS), None];
    for (of_root, of_issuer) in cases.iter().flat_map(|root| cases.map(|issuer| (*root, issuer))) {
        let lists = [list(ROOT, &vendor.root_key, of_root), list(ISSUER, &vendor.issuer_key, of_issuer)];
        for crl_coverage in [CrlCoverage::Chain, CrlCoverage::Leaf, CrlCoverage::Listed] {
            let trust = with_lists(vendor.trust(), &[&lists[0], &lists[1]]);
            let trust = Trust { crl_coverage, ..trust };
            let (root, issuer) = (of_root != Some(USERS), of_issuer != Some(CAS));
            let good = match crl_coverage {
                CrlCoverage::Chain => root && issuer,
                CrlCoverage::Leaf => issuer,
                CrlCoverage::Listed => true,
            };
            assert_eq!(check_trust(&trust, at(NOW)).is_ok(), good, "{of_root:?} {of_issuer:?} {crl_coverage:?}");
            // Whatever distribution point the chip names.
            for chip in [&vendor.chip(), &named] {
                match good {
                    true => drop(passes(chip, &trust)),
                    false => drop(refused(check(chip, &trust), ReasonCode::CRL_UNUSABLE)),
                }
            }
        }
    }
    // A CA that issues chips and other CAs has both.
    let chip = Tbs::leaf(CHIP, ROOT, &Key::new(KeyKind::EcP256)).sign(&vendor.root_key);
    let root = |scope| list(ROOT, &vendor.root_key, Some(scope));
    let only = |lists: &[&[u8]]| with_lists(super::trust(&[&vendor.root], &[]), lists);
    passes(&chip, &only(&[&root(USERS)]));
    refused(check(&chip, &only(&[&root(CAS)])), ReasonCode::CRL_UNUSABLE);
    let own = list(ISSUER, &vendor.issuer_key, Some(USERS));
    for pair in [[root(USERS), root(CAS)], [root(CAS), root(USERS)]] {
        let trust = with_lists(vendor.trust(), &[&pair[0], &pair[1], &own]);
        assert!(check_trust(&trust, at(NOW)).is_ok());
        for chip in [&chip, &vendor.chip(), &named] {
            passes(chip, &trust);
        }
    }
}

#[test]
fn a_list_without_a_name_revokes_and_is_replaced_by_its_own_scope_alone() {
    let vendor = Vendor::new();
    let chip = vendor.chip();
    let of = |scope: &[u8], list: List| list.with(for_only(&[scope])).sign(&vendor.issuer_key);
    let root_cas = List::of(ROOT).with(for_only(&[CAS])).sign(&vendor.root_key);
    let naming = |scope| of(scope, vendor.list().naming(SERIAL));
    let newer = |scope| of(scope, vendor.list().made("260301000000Z", "280101000000Z"));
    let whole = vendor.list().made("260301000000Z", "280101000000Z").sign(&vendor.issuer_key);
    // Whichever names it, and however new another one is that does not.
    for lists in [[naming(USERS), newer(CAS)], [naming(USERS), whole.clone()], [naming(CAS), newer(USERS)]] {
        for pair in [[&lists[0], &lists[1]], [&lists[1], &lists[0]]] {
            let trust = with_lists(vendor.trust(), &[&root_cas, pair[0], pair[1]]);
            let failure = refused(check(&chip, &trust), ReasonCode::CERTIFICATE_REVOKED);
            assert_eq!(failure.args["crl_sha256"], Sha256::of(&lists[0]).to_string());
        }
    }
    for pair in [[naming(USERS), newer(USERS)], [newer(USERS), naming(USERS)]] {
        passes(&chip, &with_lists(vendor.trust(), &[&root_cas, &pair[0], &pair[1]]));
    }
    // An intermediate, by the list that is for CAs.
    let root_naming = List::of(ROOT).with(for_only(&[CAS])).naming(SERIAL).sign(&vendor.root_key);
    let trust = with_lists(vendor.trust(), &[&root_naming, &newer(USERS)]);
    refused(check(&chip, &trust), ReasonCode::CERTIFICATE_REVOKED);
    // It ends like any other.
    let expired = of(USERS, vendor.list().made("260101000000Z", "260601120000Z"));
    refused(check(&chip, &with_lists(vendor.trust(), &[&root_cas, &expired])), ReasonCode::CRL_UNUSABLE);
}

/// What the verifier gets is not the list as it stands: the signature still is over that.
#[test]
fn a_list_without_a_name_is_its_signers_in_every_octet() {
    let vendor = Vendor::new();
    let chip = vendor.chip();
    let signed = vendor.list().with(for_only(&[CAS])).sign(&vendor.issuer_key);
    let at_scope = signed.windows(CAS.len()).position(|octets| octets == CAS).unwrap();
    let mut turned = signed.clone();
    turned[at_scope] = USERS[0];
    let foreign = vendor.list().with(for_only(&[USERS])).sign(&Key::new(KeyKind::EcP256));
    // As the verifier would get it.
    let mut bare = vendor.list().with(for_only(&[USERS])).sign(&vendor.issuer_key);
    let oid = [0x06, 0x03, 0x55, 0x1d, 0x1c];
    let at_oid = bare.windows(oid.len()).position(|octets| octets == oid).unwrap();
    (bare[at_oid + 4], bare[at_oid + 7]) = (0x7f, 0);
    for bad in [turned, foreign, bare] {
        let failure = refused(check(&chip, &vendor_with(&vendor, &bad)), ReasonCode::CRL_UNUSABLE);
        assert!(failure.cause.contains("has signed"), "{failure}");
    }
    // Critical or not.
    let plain = vendor.list().with(extension("2.5.29.28", false, &sequence(&[USERS]))).sign(&vendor.issuer_key);
    passes(&chip, &vendor_with(&vendor, &plain));
}

fn vendor_with(vendor: &Vendor, list: &[u8]) -> Trust {
    with_lists(vendor.trust(), &[&vendor.root_list(), list])
}

#[test]
fn what_a_list_lacks_is_told_in_words() {
    let vendor = Vendor::new();
    let like = Tbs::leaf("", "", &vendor.issuer_key);
    let (version, algorithm) = (tlv(0x02, &[1]), like.algorithm(KeyKind::EcP256));
    let (this, next) = (time("260101000000Z"), time("270101000000Z"));
    let number = tlv(0xa0, &sequence(&[&extension("2.5.29.20", false, &tlv(0x02, &[7]))]));
    let parts = |parts: &[&[u8]]| like.seal(&sequence(parts), &vendor.issuer_key);
    let name = name(ISSUER);
    let scope = |inside: &[u8]| vendor.list().with(extension("2.5.29.28", true, &sequence(&[inside])));
    let indirect = scope(&tlv(0x84, &[0xff])).sign(&vendor.issuer_key);
    let some_reasons = scope(&[USERS, &tlv(0x83, &[6, 0x40])].concat()).sign(&vendor.issuer_key);
    let attributes = scope(&tlv(0x85, &[0xff])).sign(&vendor.issuer_key);
    let relative = tlv(0xa0, &tlv(0xa1, &sequence(&[])));
    let odd: [&[u8]; 7] = [
        &[],
        &relative,
        &[USERS, CAS].concat(),
        &[USERS, USERS].concat(),
        &[relative.as_slice(), USERS].concat(),
        &tlv(0x81, &[0]),
        &[USERS, &tlv(0x84, &[0])].concat(),
    ];
    for inside in odd {
        let trust = with_lists(vendor.trust(), &[&vendor.root_list(), &scope(inside).sign(&vendor.issuer_key)]);
        let failure = check_trust(&trust, at(NOW)).unwrap_err();
        assert_eq!(failure.code, ReasonCode::CRL_UNUSABLE);
        assert!(failure.cause.contains("no full name of a distribution point"), "{}: {failure}", hex::encode(inside));
    }
    let bent = [scope(&tlv(0x81, &[1])), scope(USERS).with(for_only(&[USERS]))];
    for list in bent {
        let trust = with_lists(vendor.trust(), &[&vendor.root_list(), &list.sign(&vendor.issuer_key)]);
        assert_eq!(check_trust(&trust, at(NOW)).unwrap_err().code, ReasonCode::CRL_UNUSABLE);
    }
    for (list, said) in [
        (parts(&[&algorithm, &name, &this, &next]), "version 1"),
        (parts(&[&version, &algorithm, &name, &this, &number]), "nextUpdate"),
        (parts(&[&version, &algorithm, &name, &this, &next]), "no extensions"),
        (indirect, "other CAs' certificates"),
        (some_reasons, "some of the reasons"),
        (attributes, "attribute certificates only"),
    ] {
        let trust = with_lists(vendor.trust(), &[&vendor.root_list(), &list]);
        let failure = check_trust(&trust, at(NOW)).unwrap_err();
        assert_eq!(failure.code, ReasonCode::CRL_UNUSABLE);
        assert!(failure.cause.contains(said), "{failure}");
    }
    let whole = parts(&[&version, &algorithm, &name, &this, &next, &number]);
    assert!(check_trust(&with_lists(vendor.trust(), &[&vendor.root_list(), &whole]), at(NOW)).is_ok());
}

#[test]
fn an_expired_intermediate_is_accepted_where_the_profile_says_so_and_the_chip_is_valid() {
    let vendor = Vendor::new();
    let issuer = |not_before: &str, not_after: &str| {
        Tbs::ca(ISSUER, ROOT, &vendor.issuer_key).valid(not_before, not_after).sign(&vendor.root_key)
    };
    let accepting = |issuers: &[&[u8]]| Trust {
        expired_intermediate: ExpiredIntermediate::Accept,
        ..super::trust(&[&vendor.root], issuers)
    };
    let chip = |not_before: &str, not_after: &str| {
        vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)).valid(not_before, not_after))
    };
    let expired = issuer("200101000000Z", "240101000000Z");
    let good = chip("230101000000Z", "491231235959Z");
    refused(check(&good, &super::trust(&[&vendor.root], &[&expired])), ReasonCode::CERTIFICATE_REFUSED);
    let checked = passes(&good, &accepting(&[&expired]));
    assert_eq!(checked.decision.path_as_of.as_deref(), Some("2023-01-01T00:00:00Z"));

    // Issued after the CA had expired, or before it began; expired itself; forged.
    for late in ["240101000001Z", "191231235959Z"] {
        let late = chip(late, "491231235959Z");
        refused(check(&late, &accepting(&[&expired])), ReasonCode::CERTIFICATE_REFUSED);
    }
    let over = chip("230101000000Z", "260101000000Z");
    refused(check(&over, &accepting(&[&expired])), ReasonCode::CERTIFICATE_EXPIRED);
    let forged = vendor.leaf(&Key::new(KeyKind::EcP256)).sign(&Key::new(KeyKind::EcP256));
    refused(check(&forged, &accepting(&[&expired])), ReasonCode::CERTIFICATE_FOREIGN_CA);
    // Nobody looks back while a path holds today.
    let renewed = issuer("200101000000Z", "491231235959Z");
    assert_eq!(passes(&good, &accepting(&[&expired, &renewed])).decision.path_as_of, None);
}

#[test]
fn an_accepted_expired_intermediate_hides_no_revocation() {
    let vendor = Vendor::new();
    let expired =
        Tbs::ca(ISSUER, ROOT, &vendor.issuer_key).valid("200101000000Z", "240101000000Z").sign(&vendor.root_key);
    let chip = vendor.chip();
    let accept = |trust: Trust| Trust { expired_intermediate: ExpiredIntermediate::Accept, ..trust };
    let only = super::trust(&[&vendor.root], &[&expired]);
    let own = |list: List| list.sign(&vendor.issuer_key);
    let root_list = vendor.root_list();
    passes(&chip, &accept(with_lists(only.clone(), &[&root_list, &own(vendor.list())])));
    let naming = own(vendor.list().naming(SERIAL));
    refused(check(&chip, &accept(with_lists(only.clone(), &[&root_list, &naming]))), ReasonCode::CERTIFICATE_REVOKED);
    // A list that has expired today was good when the chip was made: it is today that counts.
    let old = own(vendor.list().made("200101000000Z", "240101000000Z"));
    refused(check(&chip, &accept(with_lists(only, &[&root_list, &old]))), ReasonCode::CRL_UNUSABLE);
    // The renewed intermediate is revoked: its expired predecessor is no way round.
    let renewed = Tbs { serial: vec![9], ..Tbs::ca(ISSUER, ROOT, &vendor.issuer_key) }.sign(&vendor.root_key);
    let both = super::trust(&[&vendor.root], &[&expired, &renewed]);
    let root_naming = List::of(ROOT).naming(&[9]).sign(&vendor.root_key);
    let trust = accept(with_lists(both, &[&root_naming, &own(vendor.list())]));
    refused(check(&chip, &trust), ReasonCode::CERTIFICATE_REVOKED);
}
