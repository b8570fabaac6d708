//! The key that badges are hashed with: 64 hexadecimal digits in a file that only its owner reads. Stations of one
//! plant have copies of one file.

use std::path::PathBuf;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretBox};

use super::durable;
use super::log_key::read_private;
use crate::domain::{Failure, ReasonCode};
use crate::ports::BadgeKey;

#[derive(Debug, Clone)]
pub struct BadgeKeyFile {
    path: PathBuf,
}

impl BadgeKeyFile {
    /// The file's name within a data directory, where the configuration names no other.
    pub const FILE: &str = "badge.key";

    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn load(&self) -> Result<Option<SecretBox<[u8; 32]>>, Failure> {
        let read = read_private(&self.path).map_err(|failure| Failure { code: ReasonCode::BADGE_KEY, ..failure })?;
        let Some(text) = read else { return Ok(None) };
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.expose_secret().trim(), &mut *key)
            .map_err(|_| refused(format!("{} is not 64 hexadecimal digits", self.path.display())))?;
        Ok(Some(SecretBox::new(Box::new(*key))))
    }

    fn make(&self, key: &SecretBox<[u8; 32]>) -> Result<(), Failure> {
        let text = Zeroizing::new(format!("{}\n", &*Zeroizing::new(hex::encode(key.expose_secret()))));
        match durable::create(&self.path, text.as_bytes(), 0o600) {
            // Another program was first: that one's is the key.
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(refused(format!("{} can't be made: {error}", self.path.display())))
            }
            _ => Ok(()),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(this)).await;
        done.unwrap_or_else(|error| Err(refused(error.to_string())))
    }
}

#[async_trait::async_trait]
impl BadgeKey for BadgeKeyFile {
    async fn read(&self) -> Result<Option<SecretBox<[u8; 32]>>, Failure> {
        self.blocking(|this| this.load()).await
    }

    async fn keep(&self, key: SecretBox<[u8; 32]>) -> Result<SecretBox<[u8; 32]>, Failure> {
        self.blocking(move |this| {
            this.make(&key)?;
            this.load()?.ok_or_else(|| refused(format!("{} is gone", this.path.display())))
        })
        .await
    }
}

fn refused(cause: String) -> Failure {
    Failure::new(ReasonCode::BADGE_KEY, cause)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_key_is_made_once_for_its_owner_alone_and_a_spoilt_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = BadgeKeyFile::new(dir.path().join(BadgeKeyFile::FILE));
        assert!(file.read().await.unwrap().is_none());
        let made = file.keep(SecretBox::new(Box::new([7; 32]))).await.unwrap();
        assert_eq!(made.expose_secret(), &[7; 32]);
        // The first one stays: badges were hashed with it.
        let kept = file.keep(SecretBox::new(Box::new([8; 32]))).await.unwrap();
        assert_eq!(kept.expose_secret(), &[7; 32]);
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file.path), 0o600);
        for spoilt in ["", "07", &"g".repeat(64), &"07".repeat(33)] {
            std::fs::write(&file.path, spoilt).unwrap();
            assert_eq!(file.read().await.unwrap_err().code, ReasonCode::BADGE_KEY);
        }
        std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let open = file.read().await.unwrap_err();
        assert!(open.code == ReasonCode::BADGE_KEY && open.cause.contains("open to others"), "{open}");
    }
}
