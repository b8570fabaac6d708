//! The high-water mark: one line in a file of the data directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::durable;
use crate::audit::TreeHead;
use crate::domain::{Failure, ReasonCode};
use crate::ports::HighWaterMark;

/// `<size> <root, 64 hexadecimal digits>` and a newline.
pub struct MarkFile {
    path: PathBuf,
    /// The largest head that anyone has asked for: one write serves all who wait.
    wanted: Mutex<Option<TreeHead>>,
    /// What is on disk, as far as this process has written or read it.
    stands: Arc<tokio::sync::Mutex<Option<TreeHead>>>,
}

impl MarkFile {
    /// The file's name within a data directory.
    pub const FILE: &str = "high-water-mark";

    pub fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(Self::FILE), wanted: Mutex::default(), stands: Arc::default() }
    }

    fn failed(&self, doing: &str, error: &io::Error) -> Failure {
        failed(&self.path, doing, error)
    }

    async fn write(&self, head: TreeHead) -> Result<(), Failure> {
        let path = self.path.clone();
        let text = format!("{} {}\n", head.size, hex::encode(head.root));
        let written = tokio::task::spawn_blocking(move || durable::replace(&path, text.as_bytes(), 0o600)).await;
        written.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| self.failed("written", &error))
    }
}

#[async_trait::async_trait]
impl HighWaterMark for MarkFile {
    async fn read(&self) -> Result<Option<TreeHead>, Failure> {
        let text = match tokio::fs::read(&self.path).await {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read", &error)),
        };
        let damaged = || {
            let cause = format!("{} does not hold a size and a root: it was altered or damaged", self.path.display());
            Failure::new(ReasonCode::MARK_FAILED, cause)
        };
        std::str::from_utf8(&text).ok().and_then(parse).map(Some).ok_or_else(damaged)
    }

    async fn raise(&self, head: TreeHead) -> Result<TreeHead, Failure> {
        let larger = |known: &TreeHead| known.size >= head.size;
        {
            let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            if !wanted.as_ref().is_some_and(larger) {
                *wanted = Some(head);
            }
        }
        let mut stands = self.stands.lock().await;
        if stands.is_none() {
            *stands = self.read().await?;
        }
        match &*stands {
            Some(stood) if stood.size == head.size && stood.root != head.root => {
                let cause = format!("the log has two stories of its first {} events", head.size);
                return Err(Failure::new(ReasonCode::LOG_ROLLED_BACK, cause));
            }
            Some(stood) if larger(stood) => return Ok(*stood),
            _ => {}
        }
        let wanted = *self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let highest = wanted.filter(larger).unwrap_or(head);
        self.write(highest).await?;
        *stands = Some(highest);
        Ok(highest)
    }

    async fn reset(&self, head: TreeHead) -> Result<(), Failure> {
        let mut stands = self.stands.lock().await;
        self.write(head).await?;
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
        *stands = Some(head);
        Ok(())
    }
}

fn parse(text: &str) -> Option<TreeHead> {
    let (size, root) = text.strip_suffix('\n')?.split_once(' ')?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(root, &mut bytes).ok()?;
    let head = TreeHead { size: size.parse().ok()?, root: bytes };
    // In its only form: whatever else reads like a mark was not written here.
    (format!("{} {}\n", head.size, hex::encode(head.root)) == text).then_some(head)
}

fn failed(path: &Path, doing: &str, error: &io::Error) -> Failure {
    Failure::new(ReasonCode::MARK_FAILED, format!("{} can't be {doing}: {error}", path.display()))
}
