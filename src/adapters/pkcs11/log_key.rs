//! The log's signing key in a token: the same worker processes, deadlines and kills as for boards.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use tokio::sync::Mutex;

use super::WorkerTokens;
use super::own_key::{access_to, refuse_open_pin};
use super::parent::LogKeyWorker;
use crate::config::TokenKey;
use crate::domain::{Failure, ReasonCode};
use crate::ports::{LogSigner, TokenAccess};

/// An Ed25519 key pair in a PKCS#11 token, made there with the token's own tools. Its session stays open
/// from one checkpoint to the next.
pub struct TokenSigner {
    tokens: WorkerTokens,
    access: TokenAccess,
    open: Mutex<Option<Open>>,
}

struct Open {
    worker: LogKeyWorker,
    public: [u8; 32],
}

impl TokenSigner {
    pub fn new(tokens: WorkerTokens, token: &TokenKey) -> Self {
        Self { tokens, access: access_to(token), open: Mutex::default() }
    }

    /// The open session, or a new one: an error ends a worker, and the next call starts another.
    async fn session(&self, open: &mut Option<Open>) -> Result<Open, Failure> {
        if let Some(open) = open.take() {
            return Ok(open);
        }
        refuse_open_pin(&self.access).map_err(|cause| refused(&cause))?;
        let mut worker = LogKeyWorker::open(&self.tokens, &self.access).await.map_err(unusable)?;
        let public = worker.public().await.map_err(unusable)?;
        let public = public.try_into().map_err(|_| refused("the token's key has not 32 bytes"))?;
        Ok(Open { worker, public })
    }
}

#[async_trait::async_trait]
impl LogSigner for TokenSigner {
    async fn public(&self) -> Result<Option<[u8; 32]>, Failure> {
        let mut open = self.open.lock().await;
        let session = self.session(&mut open).await?;
        Ok(Some(open.insert(session).public))
    }

    async fn create(&self) -> Result<[u8; 32], Failure> {
        Err(refused("keys in a token are made with the token's own tools"))
    }

    async fn sign(&self, text: &[u8]) -> Result<[u8; 64], Failure> {
        let mut open = self.open.lock().await;
        let mut session = self.session(&mut open).await?;
        let signature = session.worker.sign(text).await.map_err(unusable)?;
        // Modules return nonsense when they are asked for a mechanism that they only seem to have.
        UnparsedPublicKey::new(&ED25519, session.public)
            .verify(text, &signature)
            .map_err(|_| refused("what the token signed does not verify under its own public key"))?;
        *open = Some(session);
        signature.try_into().map_err(|_| refused("an Ed25519 signature has 64 bytes"))
    }

    async fn successor(&self) -> Result<Option<[u8; 32]>, Failure> {
        Ok(None)
    }

    async fn make_successor(&self) -> Result<[u8; 32], Failure> {
        let cause =
            "the next key is made in the token with its own tools; name it by \"uri\" in [log.key], then rotate";
        Err(refused(cause))
    }

    async fn succeed(&self) -> Result<(), Failure> {
        Err(refused("a token's key has no successor here"))
    }
}

/// What a board's token would be told apart by is one and the same for the log: its key is unusable.
fn unusable(failure: Failure) -> Failure {
    refused(&failure.to_string())
}

fn refused(cause: &str) -> Failure {
    Failure::new(ReasonCode::LOG_KEY, cause)
}
