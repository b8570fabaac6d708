use crate::domain::Failure;

/// The station's signing key: an Ed25519 key that lives outside of the log's database. L-525 for
/// whatever is wrong with it.
#[async_trait::async_trait]
pub trait LogSigner: Send + Sync {
    /// The public key, looked up now. `None`: there is none yet.
    async fn public(&self) -> Result<Option<[u8; 32]>, Failure>;

    /// Makes the station's first key; it is on disk when this returns. A key that is there is never
    /// replaced. Refused where keys are made elsewhere, as in a token.
    async fn create(&self) -> Result<[u8; 32], Failure>;

    /// Signs a note's text with the key of [`public`](Self::public), and has verified the signature.
    async fn sign(&self, text: &[u8]) -> Result<[u8; 64], Failure>;

    /// The key that waits to take the present one's place, if any.
    async fn successor(&self) -> Result<Option<[u8; 32]>, Failure>;

    /// Makes the successor, durably, or returns the one that waits already.
    async fn make_successor(&self) -> Result<[u8; 32], Failure>;

    /// Puts the successor in the key's place.
    async fn succeed(&self) -> Result<(), Failure>;
}
