use super::{Issuance, Made};
use crate::domain::Failure;
use crate::domain::profile::IssuingEndpoint;

/// Services of the user's own that make certificates.
#[async_trait::async_trait]
pub trait IssuingService: Send + Sync {
    /// Asks once. Nothing that comes back has been looked at.
    ///
    /// # Errors
    /// `A-353` it does not answer in time, or is not trusted; `A-354` it refuses, or answers with something else;
    /// `A-314` no roots.
    async fn issue(&self, endpoint: &IssuingEndpoint, issuance: &Issuance) -> Result<Made, Failure>;
}
