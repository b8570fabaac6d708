//! What is provisioned: a product's board under its serial number.

use super::{printable, text_type};

text_type!(
    /// The product a profile makes, e.g. `gateway-g4`.
    Product,
    "product",
    "1 to 64 printable characters without surrounding spaces",
    |t| printable(t, 64)
);
text_type!(
    /// A board's serial number as its own source states it; the profile's regular expression is
    /// checked on top of this.
    BoardSerial,
    "board serial",
    "1 to 64 printable ASCII characters without spaces",
    |t| !t.is_empty() && t.len() <= 64 && t.bytes().all(|b| b.is_ascii_graphic())
);

/// (product, board serial): the thing that is bound to an identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Unit {
    pub product: Product,
    pub serial: BoardSerial,
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.product, self.serial)
    }
}
