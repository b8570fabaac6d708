//! Own CAs: what AWS IoT Core knows of them, and their keys. For the administrator's commands; a station's own
//! calls are in [`aws_iot`](super::aws_iot), so that its role needs none of these.

mod aws;
mod key;

pub use aws::AwsAuthorities;
pub use key::{FileCaKey, TokenCaKey};
