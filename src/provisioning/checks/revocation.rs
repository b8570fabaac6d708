//! Who was revoked: which of the profile's lists speak of a path, and what `webpki` finds in them.

use std::path::PathBuf;

use rustls_pki_types::CertificateDer;
use webpki::{
    Cert, CertRevocationList, Error, RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
    spki_for_anchor,
};

use super::crl::Crl;
use super::extensions::{Usage, usable};
use super::fields::{Fields, rfc3339};
use super::path::{AnyUsage, Pinned, describe, unix_time};
use super::shown::Signatures;
use crate::audit::event::CrlFacts;
use crate::domain::profile::{CrlCoverage, Trust};
use crate::domain::{Failure, ReasonCode, Sha256};

/// A list that a profile goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListInUse {
    pub file: PathBuf,
    /// Names its CA and its scope.
    pub series: Sha256,
    pub facts: CrlFacts,
}

/// The profile's lists, the newest of each CA and scope; what a newer one has replaced decides nothing, and one
/// of the future replaces none.
pub(super) struct Lists<'a> {
    lists: Vec<Signed<'a>>,
    /// Of the future, where another one is of today: they say nothing for a certificate, and what they name is named.
    ahead: Vec<Signed<'a>>,
    coverage: CrlCoverage,
}

struct Signed<'a> {
    crl: Crl<'a>,
    /// SubjectPublicKeyInfo of the CA that signed it.
    key: Vec<u8>,
}

impl<'a> Lists<'a> {
    /// # Errors
    /// `K-705`, naming the file: a list that can't be read, or that no CA of the profile has signed, decides
    /// nothing, and nobody would notice.
    pub(super) fn parse(trust: &'a Trust, pinned: &mut Pinned<'_>, now: i64) -> Result<Self, Failure> {
        let mut lists: Vec<Signed<'a>> = Vec::new();
        for given in &trust.crls {
            let (crl, shown) =
                Crl::parse(given, &pinned.spellings).map_err(|cause| unusable(&given.file.display(), &cause))?;
            let key = signer(&crl, pinned).map_err(|cause| unusable(&crl.file.display(), &cause))?;
            shown.iter().for_each(|shown| pinned.signatures.add(shown));
            lists.push(Signed { crl, key });
        }
        lists.sort_by(|one, other| {
            let late = |list: &Signed<'_>| list.crl.is_not_yet_valid(now);
            late(one).cmp(&late(other)).then_with(|| other.crl.age().cmp(&one.crl.age()))
        });
        let (mut newest, mut ahead): (Vec<Signed<'a>>, Vec<Signed<'a>>) = Default::default();
        for list in lists {
            match newest.iter().find(|newer| newer.replaces(&list)) {
                None => newest.push(list),
                Some(newer) if newer.crl.age() == list.crl.age() && newer.crl.sha256 != list.crl.sha256 => {
                    let (file, issuer) = (newer.crl.file.display(), &list.crl.issuer_text);
                    let cause = format!("{file} is another list of {issuer} of the same time and number");
                    return Err(unusable(&list.crl.file.display(), &cause));
                }
                Some(_) if list.crl.is_not_yet_valid(now) => ahead.push(list),
                Some(_) => {}
            }
        }
        Ok(Self { lists: newest, ahead, coverage: trust.crl_coverage })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Crl<'a>> {
        self.lists.iter().map(|list| &list.crl)
    }

    /// Those that say something today.
    pub(super) fn in_use(&self, now: i64) -> Vec<ListInUse> {
        let today = self.lists.iter().filter(|list| !list.crl.is_not_yet_valid(now));
        let in_use = |list: &Signed<'_>| ListInUse {
            file: list.crl.file.to_owned(),
            series: list.series(),
            facts: list.crl.facts(),
        };
        today.map(in_use).collect()
    }

    /// What can be said before any chip is there.
    ///
    /// # Errors
    /// `K-705` when a list has expired or is of the future, or a CA that has to have one has none.
    pub(super) fn check(&self, pinned: &Pinned<'_>, now: i64) -> Result<(), Failure> {
        self.iter().try_for_each(|crl| is_of_today(crl, now))?;
        if self.lists.is_empty() || self.coverage == CrlCoverage::Listed {
            return Ok(());
        }
        for authority in pinned.all() {
            let (name, key) = (&authority.anchor.subject, spki_for_anchor(&authority.anchor));
            let signs_cas = pinned.signs_cas(authority);
            let listed = |list: &Signed<'_>| {
                let is_of_it = list.crl.list.issuer() == name.as_ref() && list.key == key.as_ref();
                is_of_it && list.crl.scope.speaks_of(!signs_cas)
            };
            // Whether a CA that has issued another one issues chips, too, only a chip can tell.
            let needed = self.coverage == CrlCoverage::Chain || !signs_cas;
            if needed && !self.lists.iter().any(listed) {
                let name = authority.fields().map_or_else(|| "?".to_owned(), |fields| fields.subject_text);
                let cause = format!("no revocation list of {name} is given, and crl_coverage asks for one");
                return Err(Failure::new(ReasonCode::CRL_UNUSABLE, cause).with("issuer", name));
            }
        }
        Ok(())
    }

    /// The lists that were asked, when none of them names a certificate of `path`.
    ///
    /// # Errors
    /// * `C-109` one does;
    /// * `K-705` a list has expired or is of the future, or none says anything about a certificate that one has to be for.
    pub(super) fn judge(
        &self,
        path: &VerifiedPath<'_>,
        signatures: &Signatures,
        at: i64,
        now: i64,
    ) -> Result<Vec<CrlFacts>, Failure> {
        if self.lists.is_empty() {
            return Ok(Vec::new());
        }
        let asked = self.about(path, &self.lists);
        asked.iter().try_for_each(|crl| is_of_today(crl, now))?;
        // `webpki` asks the first list that speaks of a certificate; whichever names it, it is revoked.
        let ahead = self.about(path, &self.ahead);
        if let Some(revoked) = asked.iter().chain(&ahead).find_map(|crl| named(self.covered(path), crl)) {
            return Err(revoked);
        }
        let heard = asked.iter().filter(|crl| self.may_be_heard(path, crl));
        let lists: Vec<&CertRevocationList<'_>> = heard.map(|crl| &crl.list).collect();
        let verdict = match RevocationOptionsBuilder::new(&lists) {
            Ok(options) => {
                let (depth, unknown) = match self.coverage {
                    CrlCoverage::Chain => (RevocationCheckDepth::Chain, UnknownStatusPolicy::Deny),
                    CrlCoverage::Leaf => (RevocationCheckDepth::EndEntity, UnknownStatusPolicy::Deny),
                    CrlCoverage::Listed => (RevocationCheckDepth::Chain, UnknownStatusPolicy::Allow),
                };
                let options = options.with_depth(depth).with_status_policy(unknown).build();
                // This very path and no other.
                let anchors = [path.anchor().clone()];
                let intermediates: Vec<CertificateDer<'_>> =
                    path.intermediate_certificates().map(|certificate| certificate.der()).collect();
                let usage = AnyUsage;
                let (chip, at, options) = (path.end_entity(), unix_time(at), Some(options));
                signatures.with(|accepted| {
                    chip.verify_for_usage(accepted, &anchors, &intermediates, at, usage, options, None).map(|_| ())
                })
            }
            Err(_) if self.coverage == CrlCoverage::Listed => Ok(()),
            Err(_) => Err(Error::UnknownRevocationStatus),
        };
        match verdict {
            Ok(()) => Ok(asked.iter().map(|crl| crl.facts()).collect()),
            Err(Error::CertRevoked) => {
                Err(Failure::new(ReasonCode::CERTIFICATE_REVOKED, "a revocation list names a certificate of the path"))
            }
            Err(Error::UnknownRevocationStatus) => {
                let issuers: Vec<String> = certificates(path).map(|certificate| issuer_of(certificate)).collect();
                let cause = format!("no revocation list speaks of every certificate of {}", issuers.join("; "));
                Err(Failure::new(ReasonCode::CRL_UNUSABLE, cause))
            }
            Err(error) => {
                Err(unusable(&asked.first().map_or("".into(), |crl| crl.file.display().to_string()), &describe(&error)))
            }
        }
    }

    /// Of the CAs of this path, by name and key: the verifier takes the first of the name, and another
    /// generation's list would end in a bad signature there.
    fn about<'l>(&self, path: &VerifiedPath<'_>, lists: &'l [Signed<'a>]) -> Vec<&'l Crl<'a>> {
        let mut issuers: Vec<(Vec<u8>, Vec<u8>)> = path
            .intermediate_certificates()
            .map(|issuer| (issuer.subject().to_vec(), issuer.subject_public_key_info().to_vec()))
            .collect();
        issuers.push((path.anchor().subject.to_vec(), spki_for_anchor(path.anchor()).to_vec()));
        if self.coverage == CrlCoverage::Leaf {
            issuers.truncate(1);
        }
        let is_of =
            |list: &&Signed<'_>| issuers.iter().any(|(name, key)| list.crl.list.issuer() == name && list.key == *key);
        lists.iter().filter(is_of).map(|list| &list.crl).collect()
    }

    /// The verifier does not see the scope of a list without a name, and takes it to speak of whatever its CA has
    /// issued: it gets one that speaks of all of that in this path, and no other, which then says of nobody that he was
    /// not revoked.
    fn may_be_heard(&self, path: &VerifiedPath<'_>, crl: &Crl<'_>) -> bool {
        let issued = self.covered(path).enumerate().filter(|(_, it)| it.issuer() == crl.list.issuer());
        crl.nameless.is_none() || issued.map(|(nth, _)| nth == 0).all(|is_chip| crl.scope.speaks_of(is_chip))
    }

    /// Whose revocation counts.
    fn covered<'p>(&self, path: &'p VerifiedPath<'p>) -> impl Iterator<Item = &'p Cert<'p>> + use<'p> {
        let all = if self.coverage == CrlCoverage::Leaf { 1 } else { usize::MAX };
        certificates(path).take(all)
    }
}

impl Signed<'_> {
    /// Names the CA and the scope: lists of one series replace each other.
    fn series(&self) -> Sha256 {
        let scope = self.scope().unwrap_or_default();
        let mut named = Vec::new();
        for part in [self.key.as_slice(), self.crl.list.issuer(), scope] {
            named.extend((part.len() as u64).to_be_bytes());
            named.extend(part);
        }
        Sha256::of(&named)
    }

    /// As it stands.
    fn scope(&self) -> Option<&[u8]> {
        self.crl.nameless.or(self.crl.list.issuing_distribution_point())
    }

    /// A newer list of the same CA with the same scope.
    fn replaces(&self, older: &Signed<'_>) -> bool {
        let (list, other) = (&self.crl.list, &older.crl.list);
        self.key == older.key && list.issuer() == other.issuer() && self.scope() == older.scope()
    }
}

/// SubjectPublicKeyInfo of the CA of the profile that has signed the list, and may. `Err`: there is none.
fn signer(crl: &Crl<'_>, pinned: &Pinned<'_>) -> Result<Vec<u8>, String> {
    let mut why = format!("no CA of the profile has signed this list of {}", crl.issuer_text);
    for authority in pinned.all().filter(|authority| *authority.anchor.subject == *crl.list.issuer()) {
        let key = spki_for_anchor(&authority.anchor);
        if !crl.is_signed_by(&key) {
            continue;
        }
        match usable(&authority.der, Usage::CrlSign) {
            Ok(()) => return Ok(key.to_vec()),
            Err(cause) => why = format!("the CA that has signed this list of {} may not: {cause}", crl.issuer_text),
        }
    }
    Err(why)
}

/// The chip's first.
fn certificates<'p>(path: &'p VerifiedPath<'p>) -> impl Iterator<Item = &'p Cert<'p>> {
    let leaf: &Cert<'p> = path.end_entity();
    std::iter::once(leaf).chain(path.intermediate_certificates())
}

fn issuer_of(certificate: &Cert<'_>) -> String {
    Fields::parse(&certificate.der()).map_or_else(|_| "?".to_owned(), |fields| fields.issuer_text)
}

/// C-109 where the list has one of them, in whatever scope: a CA gives each serial number once.
fn named<'p>(mut certificates: impl Iterator<Item = &'p Cert<'p>>, crl: &Crl<'_>) -> Option<Failure> {
    certificates.find_map(|certificate| {
        let of_its_issuer = crl.list.issuer() == certificate.issuer();
        let entry = crl.list.find_serial(certificate.serial()).ok().flatten().filter(|_| of_its_issuer)?;
        let subject = Fields::parse(&certificate.der()).map_or_else(|_| "?".to_owned(), |it| it.subject_text);
        let date = i64::try_from(entry.revocation_date.as_secs()).map_or_else(|_| "?".to_owned(), rfc3339);
        let reason = entry.reason_code.map_or_else(String::new, |reason| format!(", {reason:?}"));
        let CrlFacts { issuer, number, this_update, sha256, .. } = crl.facts();
        let number = number.unwrap_or_else(|| "-".to_owned());
        let cause = format!(
            "{subject} was revoked on {date}{reason}, says list {number} of {issuer} of {this_update} (SHA-256 {sha256})"
        );
        let failure = Failure::new(ReasonCode::CERTIFICATE_REVOKED, cause)
            .with("subject", subject)
            .with("revoked", date)
            .with("crl_issuer", issuer)
            .with("crl_number", number)
            .with("crl_this_update", this_update)
            .with("crl_sha256", sha256);
        Some(failure)
    })
}

fn is_of_today(crl: &Crl<'_>, now: i64) -> Result<(), Failure> {
    let (issuer, today) = (&crl.issuer_text, rfc3339(now));
    if crl.has_expired(now) {
        let next = rfc3339(crl.next_update);
        let cause = format!("the list of {issuer} was to be replaced by {next}, and it is {today}");
        return Err(unusable(&crl.file.display(), &cause).with("next_update", next));
    }
    if crl.is_not_yet_valid(now) {
        let this = rfc3339(crl.this_update);
        let cause = format!("the list of {issuer} is of {this}, and it is {today}");
        return Err(unusable(&crl.file.display(), &cause).with("this_update", this));
    }
    Ok(())
}

fn unusable(file: &impl std::fmt::Display, cause: &str) -> Failure {
    Failure::new(ReasonCode::CRL_UNUSABLE, format!("{file}: {cause}")).with("file", file)
}
