//! The chip's key at the other end of a TLS handshake.

use crate::audit::event::SignatureScheme;
use crate::domain::Failure;
use crate::domain::profile::KeyKind;
use crate::ports::{TlsKey, Token};
use crate::provisioning::checks;

/// A token whose signatures are looked at before they go out: what does not verify under the certificate's
/// key is this chip's fault (`S-101`), and none that a broker would have to find.
pub struct ChipSigns<'t> {
    pub token: &'t mut dyn Token,
    pub kind: KeyKind,
    /// The certificate's SubjectPublicKeyInfo.
    pub spki: &'t [u8],
    /// A signature has gone out.
    pub signed: bool,
}

#[async_trait::async_trait]
impl TlsKey for ChipSigns<'_> {
    async fn sign(&mut self, message: &[u8], scheme: SignatureScheme) -> Result<Vec<u8>, Failure> {
        let signature = self.token.sign(message, scheme).await?;
        checks::verify_as(scheme, self.kind, self.spki, message, &signature)?;
        self.signed = true;
        Ok(signature)
    }
}
