//! Why TLS refuses a server's certificate.

use rustls::CertificateError;

/// Its time is over, or has not come: where the server is AWS, it is this computer's clock that is wrong.
pub(super) fn is_of_the_clock(why: &CertificateError) -> bool {
    use CertificateError as Why;
    matches!(why, Why::Expired | Why::ExpiredContext { .. } | Why::NotValidYet | Why::NotValidYetContext { .. })
}
