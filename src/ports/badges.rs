use secrecy::SecretBox;

use crate::domain::Failure;

/// What badges are hashed with. Badges are short and many are numbered one after the other: whoever has the
/// database alone must not find them by trying.
#[async_trait::async_trait]
pub trait BadgeKey: Send + Sync {
    /// `None`: none was made or brought here yet, and no badge is known.
    async fn read(&self) -> Result<Option<SecretBox<[u8; 32]>>, Failure>;

    /// Keeps `key`, where there is none. The one that is there from here on.
    async fn keep(&self, key: SecretBox<[u8; 32]>) -> Result<SecretBox<[u8; 32]>, Failure>;
}
