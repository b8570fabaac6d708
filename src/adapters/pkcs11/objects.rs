//! Finding an object under every name that a module may know it by.
//!
//! NXP's module (plug & trust middleware, `sss_pkcs11`): the label is `sss:` and the object id in
//! hexadecimal, byte-swapped up to version 4.2; CKA_ID is the id little-endian up to 4.6 and
//! big-endian from 4.7; a label or id in the search template overrides CKA_CLASS; a missing id gives
//! CKR_FUNCTION_FAILED instead of an empty list; enumeration works only unfiltered, in one batch.

use std::num::NonZeroUsize;

use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::failure::from_module;
use super::worker::Link;
use crate::domain::profile::ObjectName;
use crate::domain::{Failure, ReasonCode};
use crate::ports::{ObjectKind, TokenObject};

/// The objects of one token, through one session.
pub(super) struct Objects<'a> {
    pub session: &'a Session,
    pub link: &'a Link,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Certificate,
    PrivateKey,
    PublicKey,
    Data,
}

/// An object and the name that led to it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub handle: ObjectHandle,
    pub name: String,
}

/// One C_FindObjects call asks for this many. NXP's module gives all it has in the first call or
/// never; no token of a board holds more.
const BATCH: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// A module that never ends its list is not followed further.
const MOST_OBJECTS: usize = 4096;
/// A certificate is a few kilobytes, a UID a few bytes.
const LARGEST_VALUE: usize = 64 << 10;
/// So many are shown to a person.
const MOST_SHOWN: usize = 256;
/// Characters of a label, bytes of an id.
const LONGEST_SHOWN: usize = 128;

impl Objects<'_> {
    /// What is there, and how many more than that.
    pub(super) fn all(&self) -> Result<(Vec<TokenObject>, u64), Failure> {
        let handles = self.search(&[], Missing::MayFail)?;
        let (shown, more) = handles.split_at(handles.len().min(MOST_SHOWN));
        let shown = shown.iter().map(|handle| self.shown(*handle)).collect::<Result<Vec<_>, _>>()?;
        Ok((shown, u64::try_from(more.len()).unwrap_or(u64::MAX)))
    }

    fn shown(&self, handle: ObjectHandle) -> Result<TokenObject, Failure> {
        let mut object = TokenObject { class: ObjectKind::Other, label: None, id: None, key_type: None };
        let wanted = [AttributeType::Class, AttributeType::Label, AttributeType::Id, AttributeType::KeyType];
        for attribute in self.attributes(handle, &wanted)? {
            match attribute {
                Attribute::Class(class) => object.class = Kind::shown(class),
                Attribute::Label(label) => {
                    object.label = Some(String::from_utf8_lossy(&label).chars().take(LONGEST_SHOWN).collect());
                }
                Attribute::Id(id) => object.id = Some(hex::encode(&id[..id.len().min(LONGEST_SHOWN)])),
                Attribute::KeyType(key_type) => object.key_type = Some(key_type.to_string()),
                _ => {}
            }
        }
        Ok(object)
    }

    /// All objects of `kind` under `name`; the first form of the name that has any decides.
    pub(super) fn find(&self, name: &ObjectName, kind: Kind) -> Result<Vec<Found>, Failure> {
        match name {
            ObjectName::Se050(id) => self.find_se050(*id, kind),
            ObjectName::Attributes { label, id } => {
                let mut template = Vec::new();
                template.extend(label.as_deref().map(label_attribute));
                template.extend(id.clone().map(Attribute::Id));
                self.find_by(template, kind, &name.to_string(), Missing::IsEmpty)
            }
        }
    }

    fn find_se050(&self, id: u32, kind: Kind) -> Result<Vec<Found>, Failure> {
        for label in se050_labels(id) {
            let found = self.find_by(vec![label_attribute(&label)], kind, &label, Missing::IsEmpty)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        for id in se050_ids(id) {
            let name = format!("id={}", hex::encode(id));
            let found = self.find_by(vec![Attribute::Id(id.to_vec())], kind, &name, Missing::MayFail)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        self.find_by_enumeration(id, kind)
    }

    fn find_by(
        &self,
        mut template: Vec<Attribute>,
        kind: Kind,
        name: &str,
        missing: Missing,
    ) -> Result<Vec<Found>, Failure> {
        template.push(Attribute::Class(kind.class()));
        let mut found = Vec::new();
        for handle in self.search(&template, missing)? {
            if self.is(handle, kind)? {
                found.push(Found { handle, name: name.to_owned() });
            }
        }
        Ok(found)
    }

    fn find_by_enumeration(&self, id: u32, kind: Kind) -> Result<Vec<Found>, Failure> {
        let (labels, ids) = (se050_labels(id), se050_ids(id));
        let mut found = Vec::new();
        for handle in self.search(&[], Missing::MayFail)? {
            let mut name = None;
            for attribute in self.attributes(handle, &[AttributeType::Label, AttributeType::Id])? {
                match attribute {
                    Attribute::Label(label) => {
                        name = labels.iter().find(|wanted| wanted.as_bytes() == label).cloned().or(name);
                    }
                    Attribute::Id(id) if ids.iter().any(|wanted| wanted[..] == id[..]) => {
                        name = name.or_else(|| Some(format!("id={}", hex::encode(id))));
                    }
                    _ => {}
                }
            }
            if let Some(name) = name
                && self.is(handle, kind)?
            {
                found.push(Found { handle, name });
            }
        }
        Ok(found)
    }

    fn search(&self, template: &[Attribute], missing: Missing) -> Result<Vec<ObjectHandle>, Failure> {
        self.link.calling("C_FindObjects");
        let handles = self
            .session
            .iter_objects_with_cache_size(template, BATCH)
            .and_then(|objects| objects.take(MOST_OBJECTS).collect::<Result<Vec<_>, _>>());
        match handles {
            Ok(mut handles) => {
                // A key pair may be listed once as its private and once as its public key.
                handles.sort_by_key(ObjectHandle::handle);
                handles.dedup();
                Ok(handles)
            }
            Err(Error::Pkcs11(RvError::FunctionFailed, Function::FindObjects | Function::FindObjectsInit))
                if missing == Missing::MayFail =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(from_module(error)),
        }
    }

    /// The template's class was perhaps ignored: ask the object itself.
    fn is(&self, handle: ObjectHandle, kind: Kind) -> Result<bool, Failure> {
        // NXP's module says of one and the same key pair in turn, twice each, that it is a private
        // and a public key.
        let times = if kind == Kind::PrivateKey { 3 } else { 1 };
        for _ in 0..times {
            let class = self
                .attributes(handle, &[AttributeType::Class])?
                .into_iter()
                .find_map(|attribute| if let Attribute::Class(class) = attribute { Some(class) } else { None });
            match class {
                Some(class) if class == kind.class() => return Ok(true),
                Some(ObjectClass::PUBLIC_KEY) if kind == Kind::PrivateKey => {}
                Some(_) => return Ok(false),
                // Raw data that the module cannot classify.
                None => return Ok(kind == Kind::Data),
            }
        }
        Ok(false)
    }

    /// CKA_VALUE, whole; empty if the object does not show one.
    pub(super) fn value(&self, handle: ObjectHandle) -> Result<Vec<u8>, Failure> {
        let value = self
            .attributes(handle, &[AttributeType::Value])?
            .into_iter()
            .find_map(|attribute| if let Attribute::Value(value) = attribute { Some(value) } else { None })
            .unwrap_or_default();
        match value.len() {
            0..=LARGEST_VALUE => Ok(value),
            length => Err(Failure::new(ReasonCode::TOKEN_REFUSED, format!("CKA_VALUE of {length} bytes"))),
        }
    }

    /// How long CKA_VALUE says that it is; `None`: it does not say.
    pub(super) fn value_length(&self, handle: ObjectHandle) -> Result<Option<usize>, Failure> {
        self.link.calling("C_GetAttributeValue");
        let told = self.session.get_attribute_info(handle, &[AttributeType::Value]).map_err(from_module)?;
        Ok(told
            .into_iter()
            .find_map(|told| if let AttributeInfo::Available(length) = told { Some(length) } else { None }))
    }

    /// CKA_KEY_TYPE.
    pub(super) fn key_type(&self, handle: ObjectHandle) -> Result<Option<KeyType>, Failure> {
        Ok(self
            .attributes(handle, &[AttributeType::KeyType])?
            .into_iter()
            .find_map(|attribute| if let Attribute::KeyType(key_type) = attribute { Some(key_type) } else { None }))
    }

    /// CKA_EC_POINT; empty if the object does not show one.
    pub(super) fn ec_point(&self, handle: ObjectHandle) -> Result<Vec<u8>, Failure> {
        let point = self
            .attributes(handle, &[AttributeType::EcPoint])?
            .into_iter()
            .find_map(|attribute| if let Attribute::EcPoint(point) = attribute { Some(point) } else { None });
        Ok(point.unwrap_or_default())
    }

    fn attributes(&self, handle: ObjectHandle, types: &[AttributeType]) -> Result<Vec<Attribute>, Failure> {
        self.link.calling("C_GetAttributeValue");
        match self.session.get_attributes(handle, types) {
            Ok(attributes) => Ok(attributes),
            Err(error @ Error::Pkcs11(..)) => Err(from_module(error)),
            // A vendor's own class or key type: an answer, though none that is looked for.
            Err(_) => Ok(Vec::new()),
        }
    }
}

/// What a module says of an object that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    IsEmpty,
    /// An empty list or CKR_FUNCTION_FAILED.
    MayFail,
}

impl Kind {
    fn shown(class: ObjectClass) -> ObjectKind {
        match class {
            ObjectClass::CERTIFICATE => ObjectKind::Certificate,
            ObjectClass::PRIVATE_KEY => ObjectKind::PrivateKey,
            ObjectClass::PUBLIC_KEY => ObjectKind::PublicKey,
            ObjectClass::DATA => ObjectKind::Data,
            _ => ObjectKind::Other,
        }
    }

    fn class(self) -> ObjectClass {
        match self {
            Kind::Certificate => ObjectClass::CERTIFICATE,
            Kind::PrivateKey => ObjectClass::PRIVATE_KEY,
            Kind::PublicKey => ObjectClass::PUBLIC_KEY,
            Kind::Data => ObjectClass::DATA,
        }
    }
}

fn se050_labels(id: u32) -> [String; 2] {
    let [(_, label), (_, swapped), ..] = ObjectName::se050_names(id);
    [label, swapped]
}

fn se050_ids(id: u32) -> [[u8; 4]; 2] {
    [id.to_le_bytes(), id.to_be_bytes()]
}

/// NXP's module reads the label as a C string, past its stated length: a zero byte is left behind
/// the text in the same allocation.
fn label_attribute(label: &str) -> Attribute {
    let mut bytes = Vec::with_capacity(label.len() + 1);
    bytes.extend_from_slice(label.as_bytes());
    bytes.push(0);
    bytes.pop();
    Attribute::Label(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_how_tos_key_has_both_label_forms() {
        assert_eq!(se050_labels(0xF000_0110), ["sss:F0000110", "sss:100100F0"]);
        assert_eq!(se050_ids(0xF000_0110), [[0x10, 0x01, 0x00, 0xF0], [0xF0, 0x00, 0x01, 0x10]]);
    }
}
