//! How an event lies flat in its envelope: `{"v":1,…,"event":"sealed","verdict":"PASS"}`.
//!
//! serde's own way there (`flatten` over `untagged` over `tag`) copies every value three times before
//! it becomes what it is, and a verification reads millions. Here a variant is serde's ordinary
//! `{"sealed":{"verdict":"PASS"}}`, without its two inner braces; it is read from the bytes
//! themselves, once its name is known.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer as _, VariantAccess, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
use serde_json::{Deserializer as Json, Error};

/// Goes on with the variant `body` in the object that `bytes` ends with.
pub(super) fn write(bytes: &mut Vec<u8>, body: &impl Serialize) -> Result<(), Error> {
    debug_assert_eq!(bytes.last(), Some(&b'}'));
    bytes.pop();
    bytes.extend_from_slice(br#","event":"#);
    let from = bytes.len();
    serde_json::to_writer(&mut *bytes, body)?;
    // {"name":{fields}} → "name",fields}
    let inner = bytes[from + 1..].iter().position(|byte| *byte == b'{').map(|at| from + 1 + at);
    let inner = inner.ok_or_else(|| Error::custom("an event without braces"))?;
    bytes.pop();
    if bytes[inner + 1] == b'}' {
        bytes.drain(inner - 1..=inner);
    } else {
        bytes[inner - 1] = b',';
        bytes.remove(inner);
    }
    bytes.remove(from);
    Ok(())
}

/// The variant of this name out of the object `bytes`, which has other fields, too; `None`: `T` has no
/// such variant.
pub(super) fn read<'de, T: Deserialize<'de>>(name: &'de str, bytes: &'de [u8]) -> Option<Result<T, Error>> {
    let mut known = true;
    let value = T::deserialize(Variant { name, bytes, known: &mut known });
    known.then_some(value)
}

struct Variant<'de, 'k> {
    name: &'de str,
    bytes: &'de [u8],
    known: &'k mut bool,
}

impl<'de> Deserializer<'de> for Variant<'de, '_> {
    type Error = Error;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.known = variants.contains(&self.name);
        if *self.known { visitor.visit_enum(self) } else { Err(Error::unknown_variant(self.name, variants)) }
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("what lies flat is an enum"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Variant<'de, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let name: StrDeserializer<'de, Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de, '_> {
    type Error = Error;

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        Json::from_slice(self.bytes).deserialize_map(visitor)
    }

    /// Variants that have flattened fields of their own.
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(&mut Json::from_slice(self.bytes))
    }

    fn unit_variant(self) -> Result<(), Error> {
        Err(Error::custom("an event has fields"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("an event's fields have names"))
    }
}

#[cfg(test)]
mod tests {
    use crate::audit::Event;

    /// As stations wrote them: bytes that are in logs stay readable, and are written so for ever.
    const WRITTEN: [&str; 9] = [
        r#"{"v":1,"id":"0249cc82-9d5b-4082-bef1-3636103ce48a","at":"2026-11-24T14:03:40.386847141Z","station":"L1-ST1","operator":{"id":"b0573a7c-25eb-4111-8d95-8cf3d53ff671","name_sha256":"185b069ea1a36483498b52110a83345953fd06189210b9583afa497010fccb08"},"run":"167457a6-93c9-4c0a-b484-4f57897049bf","event":"challenge-made","purpose":"before-register","challenge":"AAAAFWxpbmVzZWFsIGNoYWxsZW5nZSB2MQ=="}"#,
        r#"{"v":1,"id":"40f35ed7-8415-4dec-b9db-0dd3c46a7c18","at":"2026-11-24T14:03:40Z","station":"L1-ST1","event":"station-stopped"}"#,
        r#"{"v":1,"id":"40f35ed7-8415-4dec-b9db-0dd3c46a7c18","at":"2026-11-24T14:03:40Z","station":"L1-ST1","run":"167457a6-93c9-4c0a-b484-4f57897049bf","event":"resumed"}"#,
        r#"{"v":1,"id":"a6cf396c-84d5-4904-b1f1-91ded86348b3","at":"2026-11-24T14:03:40.36278401Z","station":"L1-ST1","run":"167457a6-93c9-4c0a-b484-4f57897049bf","event":"step-failed","step":"read","failure":{"code":"T-204","args":{"seconds":"5"},"cause":"日本語 \"quoted\" {\"event\":{"}}"#,
        r#"{"v":1,"id":"9f489838-5679-4f13-8190-dd85160b6a3a","at":"2026-11-24T14:03:40.544097433Z","station":"L1-ST1","operator":{"id":"b0573a7c-25eb-4111-8d95-8cf3d53ff671","name_sha256":"185b069ea1a36483498b52110a83345953fd06189210b9583afa497010fccb08"},"event":"ruled","ruling":"scrap","unit":{"product":"gateway","serial":"A1"},"reason":{"id":"b0573a7c-25eb-4111-8d95-8cf3d53ff671","text_sha256":"185b069ea1a36483498b52110a83345953fd06189210b9583afa497010fccb08"}}"#,
        r#"{"v":1,"id":"9f489838-5679-4f13-8190-dd85160b6a3a","at":"2026-11-24T14:03:40.544097433Z","station":"L1-ST1","event":"operator-added","person":{"id":"b0573a7c-25eb-4111-8d95-8cf3d53ff671","name_sha256":"185b069ea1a36483498b52110a83345953fd06189210b9583afa497010fccb08"},"role":"qa"}"#,
        r#"{"v":1,"id":"9f489838-5679-4f13-8190-dd85160b6a3a","at":"2026-11-24T14:03:40.544097433Z","station":"L1-ST1","event":"operator-added","person":{"id":"b0573a7c-25eb-4111-8d95-8cf3d53ff671","name_sha256":"185b069ea1a36483498b52110a83345953fd06189210b9583afa497010fccb08"},"role":"qa","pin_sha256":"185b069ea1a36483498b52110a83345953fd06189210b9583afa497010fccb08"}"#,
        r#"{"v":1,"id":"9f489838-5679-4f13-8190-dd85160b6a3a","at":"2026-11-24T14:03:40.544097433Z","station":"L1-ST1","event":"operator-reset","person":{"id":"b0573a7c-25eb-4111-8d95-8cf3d53ff671","name_sha256":"185b069ea1a36483498b52110a83345953fd06189210b9583afa497010fccb08"}}"#,
        r#"{"v":1,"id":"9f489838-5679-4f13-8190-dd85160b6a3a","at":"2026-11-24T14:03:40.544097433Z","station":"L1-ST1","event":"operator-reset","person":{"id":"b0573a7c-25eb-4111-8d95-8cf3d53ff671","name_sha256":"185b069ea1a36483498b52110a83345953fd06189210b9583afa497010fccb08"},"pin_sha256":"185b069ea1a36483498b52110a83345953fd06189210b9583afa497010fccb08"}"#,
    ];

    #[test]
    fn what_was_written_is_read_and_would_be_written_again() {
        for written in WRITTEN {
            let event = Event::decode(written.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(event.encode().unwrap()).unwrap(), written);
        }
    }

    #[test]
    fn what_is_no_event_of_ours_is_refused() {
        let [made, stopped, ..] = WRITTEN;
        for spoilt in [
            stopped.replace("station-stopped", "station-danced"),
            stopped.replace(r#","event":"station-stopped""#, ""),
            made.replace("before-register", "never"),
            made.replace(r#""purpose":"before-register","#, ""),
            made.replace("167457a6", "167457a"),
            made.replace("B2MQ==", "B2MQ="),
            format!("{stopped}x"),
            stopped.replace('}', ""),
        ] {
            assert!(Event::decode(spoilt.as_bytes()).is_err(), "{spoilt}");
        }
    }
}
