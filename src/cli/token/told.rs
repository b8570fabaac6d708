//! What was seen of a chip, in sentences for a person.

use crate::domain::Failure;
use crate::domain::profile::{NameForm, TokenPlan};
use crate::ports::{Contents, ObjectKind, TokenObject};
use crate::provisioning::checks::{CertificateFacts, Check, Finding, Outcome};
use crate::runner::look::{Seen, Wanted};
use crate::texts::{Language, Texts, fl, reasons};

/// Says it in one language.
pub struct Teller<'t> {
    pub texts: &'t Texts,
    pub language: &'t Language,
    /// There is a log that could be asked.
    pub logged: bool,
}

impl Teller<'_> {
    pub fn lines(&self, seen: &Seen, wanted: &Wanted<'_>) -> Vec<String> {
        let mut lines = vec![self.board(seen, wanted)];
        lines.extend(self.token(seen));
        if seen.reading.is_some() {
            lines.extend(self.names(seen, &wanted.profile.token));
        }
        lines.extend(self.contents(seen.contents.as_ref()));
        lines.extend(seen.certificate.iter().flat_map(|facts| self.certificate(facts)));
        if let Some(reading) = &seen.reading {
            lines.push(match &reading.uid {
                Some(uid) => fl!(self.texts.loader(), "token-uid", uid = uid.as_str()),
                None => fl!(self.texts.loader(), "token-uid-none"),
            });
        }
        lines.push(fl!(self.texts.loader(), "token-checks"));
        lines.extend(seen.findings.iter().map(|finding| self.finding(finding)));
        if !self.logged {
            lines.push(fl!(self.texts.loader(), "token-no-log"));
        }
        lines.push(match seen.proven() {
            true => fl!(self.texts.loader(), "token-proven"),
            false => fl!(self.texts.loader(), "token-unproven"),
        });
        lines.push(self.end(seen));
        lines.push(fl!(self.texts.loader(), "token-nothing-written"));
        lines
    }

    fn board(&self, seen: &Seen, wanted: &Wanted<'_>) -> String {
        let (port, profile) = (wanted.device.path.as_str(), wanted.profile.name.as_str());
        match &seen.unit {
            Some(unit) => {
                let (product, serial) = (unit.product.as_str(), unit.serial.as_str());
                fl!(
                    self.texts.loader(),
                    "token-board",
                    port = port,
                    profile = profile,
                    product = product,
                    serial = serial
                )
            }
            None => fl!(self.texts.loader(), "token-board-unknown", port = port, profile = profile),
        }
    }

    fn token(&self, seen: &Seen) -> Vec<String> {
        let Some(facts) = &seen.token else { return Vec::new() };
        let (module, version) = (facts.module.as_str(), facts.module_version.as_str());
        let parts = [&facts.token_label, &facts.manufacturer, &facts.token_model, &facts.token_serial];
        let names: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let mut lines = vec![
            fl!(self.texts.loader(), "token-module", module = module, version = version),
            fl!(self.texts.loader(), "token-token", names = names.join(", ")),
        ];
        if seen.reading.is_some() {
            let (open, read) = (facts.open_ms, facts.read_ms);
            lines.push(fl!(self.texts.loader(), "token-times", open = open, read = read));
        }
        if let Some(proof) = &seen.proof {
            lines.push(fl!(self.texts.loader(), "token-signed", sign = proof.sign_ms));
        }
        lines
    }

    /// Which form of its name each object answered to.
    fn names(&self, seen: &Seen, plan: &TokenPlan) -> Vec<String> {
        let loader = self.texts.loader();
        let wanted = [Some(&plan.certificate), Some(&plan.key), plan.uid.as_ref()];
        let whats =
            [fl!(loader, "token-what-certificate"), fl!(loader, "token-what-key"), fl!(loader, "token-what-uid")];
        let named = wanted.into_iter().zip(&seen.forms).zip(whats);
        named
            .filter_map(|((wanted, found), what)| {
                let wanted = wanted?.to_string();
                Some(match found {
                    Some((name, form)) => {
                        fl!(loader, "token-found", what = what, name = name.as_str(), form = self.form(*form))
                    }
                    None => fl!(loader, "token-not-found", what = what, name = wanted),
                })
            })
            .collect()
    }

    fn form(&self, form: NameForm) -> String {
        let loader = self.texts.loader();
        match form {
            NameForm::Label => fl!(loader, "token-form-label"),
            NameForm::SwappedLabel => fl!(loader, "token-form-swapped"),
            NameForm::LittleEndianId => fl!(loader, "token-form-little"),
            NameForm::BigEndianId => fl!(loader, "token-form-big"),
            NameForm::Uri => fl!(loader, "token-form-uri"),
        }
    }

    fn contents(&self, contents: Option<&Result<Contents, Failure>>) -> Vec<String> {
        let loader = self.texts.loader();
        let contents = match contents {
            None => return Vec::new(),
            Some(Err(failure)) => return vec![fl!(loader, "token-objects-failed", cause = failure.to_string())],
            Some(Ok(contents)) => contents,
        };
        let mut lines = vec![fl!(loader, "token-objects", count = contents.objects.len())];
        lines.extend(contents.objects.iter().map(|object| self.object(object)));
        if contents.more > 0 {
            lines.push(fl!(loader, "token-objects-more", more = contents.more));
        }
        lines
    }

    fn object(&self, object: &TokenObject) -> String {
        let loader = self.texts.loader();
        let class = match object.class {
            ObjectKind::Certificate => fl!(loader, "token-object-certificate"),
            ObjectKind::PrivateKey => fl!(loader, "token-object-private-key"),
            ObjectKind::PublicKey => fl!(loader, "token-object-public-key"),
            ObjectKind::Data => fl!(loader, "token-object-data"),
            ObjectKind::Other => fl!(loader, "token-object-other"),
        };
        let label = object.label.as_ref().map(|label| format!("{label:?}"));
        let id = object.id.as_ref().filter(|id| !id.is_empty()).map(|id| format!("id={id}"));
        let parts = [Some(class), label, id, object.key_type.clone()];
        format!("  {}", parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
    }

    fn certificate(&self, facts: &CertificateFacts) -> Vec<String> {
        let loader = self.texts.loader();
        let (subject, issuer, serial) = (facts.subject.as_str(), facts.issuer.as_str(), facts.serial.as_str());
        let (from, until, key) = (facts.not_before.as_str(), facts.not_after.as_str(), facts.key.as_str());
        let sha256 = facts.sha256.to_string();
        let mut lines = vec![
            fl!(loader, "token-certificate", subject = subject),
            fl!(loader, "token-issuer", issuer = issuer),
            fl!(loader, "token-serial", serial = serial),
            fl!(loader, "token-validity", from = from, until = until),
            fl!(loader, "token-key", key = key),
            fl!(loader, "token-sha256", sha256 = sha256),
        ];
        if let Some(uid) = &facts.uid {
            lines.push(fl!(loader, "token-uid-inside", uid = uid.as_str()));
        }
        lines
    }

    fn finding(&self, finding: &Finding) -> String {
        let loader = self.texts.loader();
        let check = self.check(finding.check);
        match &finding.outcome {
            Outcome::Good => fl!(loader, "token-check-good", check = check),
            Outcome::Open => fl!(loader, "token-check-open", check = check),
            Outcome::Bad(failure) => {
                let (code, title) = (failure.code.as_str(), reasons().text(self.language, failure).title);
                fl!(
                    loader,
                    "token-check-bad",
                    check = check,
                    code = code,
                    title = title,
                    cause = failure.cause.as_str()
                )
            }
        }
    }

    fn check(&self, check: Check) -> String {
        let loader = self.texts.loader();
        match check {
            Check::Identify => fl!(loader, "token-check-identify"),
            Check::Token => fl!(loader, "token-check-token"),
            Check::Certificate => fl!(loader, "token-check-certificate"),
            Check::Pins => fl!(loader, "token-check-pins"),
            Check::Issuer => fl!(loader, "token-check-issuer"),
            Check::Validity => fl!(loader, "token-check-validity"),
            Check::Path => fl!(loader, "token-check-path"),
            Check::Revocation => fl!(loader, "token-check-revocation"),
            Check::Key => fl!(loader, "token-check-key"),
            Check::Uid => fl!(loader, "token-check-uid"),
            Check::Proof => fl!(loader, "token-check-proof"),
            Check::Manifest => fl!(loader, "token-check-manifest"),
            Check::Log => fl!(loader, "token-check-log"),
        }
    }

    fn end(&self, seen: &Seen) -> String {
        let loader = self.texts.loader();
        match seen.failure() {
            None => fl!(loader, "token-end-good"),
            Some(failure) => {
                let sentence = reasons().text(self.language, failure).technician;
                let (verdict, code) = (failure.code.verdict().as_str(), failure.code.as_str());
                fl!(loader, "token-end-bad", verdict = verdict, code = code, sentence = sentence)
            }
        }
    }
}
