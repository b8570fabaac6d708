//! Writing a certificate into a token: the only thing that is ever written there.

use cryptoki::error::Error;
use cryptoki::object::{Attribute, CertificateType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::der::first_sequence;
use super::failure::from_module;
use super::objects::{Kind, Objects};
use super::worker::Link;
use crate::audit::x509;
use crate::domain::profile::{NameForm, ObjectName};
use crate::domain::{Failure, ReasonCode};
use crate::ports::Kept;

/// `own`: the certificate that proves the chip, under whatever name. `form`: how this module names SE050 objects. `writing` opens a session that may write (PKCS#11 v3.0 §5.6.1); the
/// login of the other one counts for it, too.
pub(super) fn keep(
    objects: &Objects<'_>,
    name: &ObjectName,
    own: &ObjectName,
    form: Option<NameForm>,
    der: &[u8],
    writing: impl FnOnce() -> Result<Session, Error>,
) -> Result<Kept, Failure> {
    let refused = |why: &str| Ok(Kept::Refused(format!("{name} {why}")));
    let earlier = match objects.find(name, Kind::Certificate)?.as_slice() {
        [] => None,
        [one] => Some(one.handle),
        several => return refused(&format!("names {} objects", several.len())),
    };
    if let Some(earlier) = earlier {
        if objects.find(own, Kind::Certificate)?.iter().any(|found| found.handle == earlier) {
            return refused("is the certificate that proves the chip, which is not written over");
        }
        let value = objects.value(earlier)?;
        let held = first_sequence(&value).unwrap_or_default();
        if held == der {
            return Ok(Kept::Found);
        }
        if x509::spki(held).map(|(spki, _)| spki) != x509::spki(der).map(|(spki, _)| spki) {
            return refused("holds something else than a certificate of this key, which is not written over");
        }
    }
    match write(objects.link, earlier, &template(name, form, der), writing) {
        Ok(()) => {}
        Err((error, emptied)) => {
            let failure = from_module(error);
            // Gone is gone; anything else it says is its answer.
            let lost = [ReasonCode::TOKEN_LOST, ReasonCode::TOKEN_SILENT].contains(&failure.code);
            let what = if emptied { "is not written, and the earlier certificate is gone" } else { "is not written" };
            return if lost { Err(failure) } else { refused(&format!("{what}: {}", failure.cause)) };
        }
    }
    let found = objects.find(name, Kind::Certificate)?;
    let [kept] = found.as_slice() else {
        return refused(&format!("names {} objects after it was written", found.len()));
    };
    match first_sequence(&objects.value(kept.handle)?) == Some(der) {
        true => Ok(Kept::Written),
        false => refused("shows another certificate than was written"),
    }
}

/// `Err`: and whether the earlier one had been taken away by then.
fn write(
    link: &Link,
    earlier: Option<ObjectHandle>,
    template: &[Attribute],
    writing: impl FnOnce() -> Result<Session, Error>,
) -> Result<(), (Error, bool)> {
    link.calling("C_OpenSession");
    let session = writing().map_err(|error| (error, false))?;
    if let Some(earlier) = earlier {
        link.calling("C_DestroyObject");
        session.destroy_object(earlier).map_err(|error| (error, false))?;
    }
    link.calling("C_CreateObject");
    session.create_object(template).map(drop).map_err(|error| (error, earlier.is_some()))
}

/// PKCS#11 v3.0 §4.6.3.
fn template(name: &ObjectName, form: Option<NameForm>, der: &[u8]) -> Vec<Attribute> {
    let (label, id) = match name {
        ObjectName::Attributes { label, id } => (label.clone(), id.clone()),
        ObjectName::Se050(id) => {
            let [(_, label), (_, swapped), ..] = ObjectName::se050_names(*id);
            let label = if form == Some(NameForm::SwappedLabel) { swapped } else { label };
            (Some(label), Some(id.to_le_bytes().to_vec()))
        }
    };
    let subject = x509::names(der).map(|[_, subject]| subject.to_vec());
    let mut template = vec![
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(CertificateType::X_509),
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Value(der.to_vec()),
    ];
    template.extend(label.map(|label| Attribute::Label(label.into_bytes())));
    template.extend(id.map(Attribute::Id));
    template.extend(subject.map(Attribute::Subject));
    template
}
