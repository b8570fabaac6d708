//! What AWS answered, as a reason code and what may be done about it.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_iot::config::http::HttpResponse;
use aws_sdk_iot::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::dns::ResolveDnsError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use std::borrow::Cow;
use std::error::Error;
use std::io;

use crate::adapters::aws_account::Withheld;
use crate::adapters::tls::is_of_the_clock;
use crate::domain::{Failure, ReasonCode};

/// One failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::adapters) struct Trouble {
    pub failure: Failure,
    pub again: Again,
    /// AWS may have done it nevertheless.
    pub lost: bool,
}

/// Whether another attempt may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::adapters) enum Again {
    Never,
    /// So many attempts in all: where nobody answers, the lane is needed for the next board.
    Attempts(u32),
    /// Until the deadline: AWS asked us to slow down, and it will pass.
    UntilDeadline,
}

const UNREACHABLE_ATTEMPTS: u32 = 4;
const FAILED_ATTEMPTS: u32 = 6;
/// Of AWS's message, what is kept.
const MESSAGE_CHARS: usize = 300;
/// AWS's names have at most 128 characters; its session tokens some hundreds.
const LONGEST_WORD: usize = 160;
/// In the place of what is not kept.
const DROPPED: &str = "[dropped]";
/// Longer than an ARN of AWS IoT.
const RESOURCE_CHARS: usize = 256;
/// HTTP: a network that wants somebody to sign in first (RFC 6585 §6).
const NETWORK_SIGN_IN: u16 = 511;

/// Sorts an SDK error by the kind of the error and the modelled exception's name.
///
/// Messages of signature errors are dropped: AWS puts the canonical request into them, session
/// token included.
pub(in crate::adapters) fn classify<E>(error: &SdkError<E, HttpResponse>) -> Trouble
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let meta = context.err().meta();
            let code = meta.code().unwrap_or_default();
            if code.is_empty() && (status < 500 || status == NETWORK_SIGN_IN) && !is_awss(context.raw()) {
                return Trouble::stranger(shown(context.raw()));
            }
            // What the SDK can't make sense of, it has as an error without a name. AWS names each of its own; only these
            // say by their status alone what they are.
            if code.is_empty() && status < 500 && !matches!(status, 401 | 403 | 429) {
                return Trouble::unreadable(status, error);
            }
            classify_answer(status, code, meta.message().unwrap_or_default())
        }
        SdkError::ResponseError(context) if !is_awss(context.raw()) => Trouble::stranger(shown(context.raw())),
        SdkError::ResponseError(context) => Trouble::unreadable(context.raw().status().as_u16(), error),
        SdkError::TimeoutError(_) => Trouble::unreachable(format!("no answer in time: {}", last_cause(error))),
        SdkError::ConstructionFailure(_) => {
            Trouble::refused(ReasonCode::CLOUD_REFUSED, format!("no request could be made: {}", last_cause(error)))
        }
        _ => classify_unsent(error),
    }
}

/// AWS gives a request id to whatever it answers. Only its load balancers do not, which answer for it with 5xx.
fn is_awss(raw: &HttpResponse) -> bool {
    raw.headers().iter().any(|(name, _)| name.starts_with("x-amzn-") || name.starts_with("x-amz-"))
}

/// What an answer is that is not AWS's, for the person who looks for whoever gave it.
fn shown(raw: &HttpResponse) -> String {
    // A page's address may carry whom it was made for behind the question mark.
    let to = raw.headers().get("location").and_then(|to| to.split('?').next()).unwrap_or_default();
    let to = if to.is_empty() { String::new() } else { format!(" to {to}") };
    let kind = raw.headers().get("content-type").unwrap_or("without a type");
    one_line(&format!("HTTP {}{to} ({kind}) is none of AWS's answers", raw.status().as_u16()))
}

/// Nothing came back: because there was nothing to sign with, or because nobody was there.
fn classify_unsent(error: &(dyn Error + 'static)) -> Trouble {
    let Some(credentials) = causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>()) else {
        return on_the_way(error).unwrap_or_else(|| Trouble::unreachable(last_cause(error)));
    };
    Trouble { lost: false, ..classify_credentials(credentials) }
}

/// Nothing could be signed.
pub(in crate::adapters) fn classify_credentials(credentials: &CredentialsError) -> Trouble {
    if let Some(Withheld(trouble)) = causes(credentials).find_map(|cause| cause.downcast_ref::<Withheld>()) {
        return trouble.clone();
    }
    // Credentials that are fetched (SSO, a role) need the network, too.
    if let Some(trouble) = on_the_way(credentials) {
        let cause = format!("credentials: {}", trouble.failure.cause);
        return Trouble { failure: Failure { cause, ..trouble.failure }, ..trouble };
    }
    let network = causes(credentials).any(|cause| cause.is::<ConnectorError>());
    if network || matches!(credentials, CredentialsError::ProviderTimedOut(_)) {
        Trouble { lost: false, ..Trouble::unreachable(format!("credentials: {}", last_cause(credentials))) }
    } else if causes(credentials).any(|cause| cause.to_string().contains("expired")) {
        Trouble::refused(ReasonCode::CLOUD_EXPIRED, format!("credentials: {}", last_cause(credentials)))
    } else {
        Trouble::refused(ReasonCode::CLOUD_CREDENTIALS, format!("no usable credentials: {}", last_cause(credentials)))
    }
}

/// What stands between here and AWS, where it says so.
fn on_the_way(error: &(dyn Error + 'static)) -> Option<Trouble> {
    use rustls::Error as Tls;
    match causes(error).find_map(|cause| cause.downcast_ref::<Tls>()) {
        Some(Tls::InvalidCertificate(why)) if is_of_the_clock(why) => {
            Some(Trouble::refused(ReasonCode::CLOUD_CLOCK, format!("the server's certificate: {why}")))
        }
        Some(Tls::InvalidCertificate(why)) => {
            Some(Trouble::refused(ReasonCode::CLOUD_INTERCEPTED, format!("the server's certificate: {why}")))
        }
        Some(Tls::InvalidMessage(_)) => {
            Some(Trouble { lost: false, ..Trouble::stranger("what answers there speaks no TLS".to_owned()) })
        }
        Some(_) => None,
        // hyper's own type for it is private.
        None => causes(error)
            .any(|cause| cause.is::<ResolveDnsError>() || cause.to_string() == "dns error")
            .then(|| Trouble::unresolved(last_cause(error))),
    }
}

/// `code` is the exception's name, modelled or not, with or without `Exception` at its end.
fn classify_answer(status: u16, code: &str, message: &str) -> Trouble {
    let name = code.strip_suffix("Exception").unwrap_or(code);
    let full = || match (code, one_line(message)) {
        ("", message) => format!("HTTP {status} {message}"),
        (code, message) => format!("{code} (HTTP {status}) {message}"),
    };
    let bare = |what: &str| format!("{code} (HTTP {status}): {what}");
    match name {
        "Throttling" | "Throttled" | "TooManyRequests" | "RequestLimitExceeded" | "SlowDown" => {
            Trouble::throttled(full())
        }
        "InternalFailure"
        | "InternalServer"
        | "InternalServerError"
        | "InternalError"
        | "ServiceUnavailable"
        | "ConflictingResourceUpdate"
        | "VersionConflict" => Trouble::failed(full()),
        "UnrecognizedClient"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => {
            Trouble::refused(ReasonCode::CLOUD_CREDENTIALS, bare("the access key or its token is not accepted"))
        }
        "ExpiredToken" | "TokenRefreshRequired" => {
            Trouble::refused(ReasonCode::CLOUD_EXPIRED, bare("the credentials have expired"))
        }
        "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => {
            Trouble::refused(ReasonCode::CLOUD_CLOCK, bare("the request's time is not AWS's"))
        }
        // The same exception for a clock that is wrong and for a secret that is wrong.
        "SignatureDoesNotMatch" | "InvalidSignature" if speaks_of_time(message) => {
            Trouble::refused(ReasonCode::CLOUD_CLOCK, bare("the signature's time is not AWS's"))
        }
        "SignatureDoesNotMatch" | "InvalidSignature" => {
            Trouble::refused(ReasonCode::CLOUD_CREDENTIALS, bare("the signature does not match: wrong secret key"))
        }
        "Unauthorized" | "AccessDenied" | "Forbidden" | "NotAuthorized" | "OptInRequired" => {
            Trouble::denied(full(), message)
        }
        "CertificateValidation" | "CertificateState" | "CertificateConflict" => {
            Trouble::refused(ReasonCode::CLOUD_CERTIFICATE, full())
        }
        "LimitExceeded" => Trouble::refused(ReasonCode::CLOUD_LIMIT, full()),
        "InvalidRequest" | "MalformedPolicy" => Trouble::refused(ReasonCode::CLOUD_REFUSED, full()),
        _ => match status {
            429 => Trouble::throttled(full()),
            401 | 403 => Trouble::denied(full(), message),
            500.. => Trouble::failed(full()),
            _ => Trouble::refused(ReasonCode::CLOUD_REFUSED, full()),
        },
    }
}

impl Trouble {
    fn unreachable(cause: String) -> Self {
        let failure = Failure::new(ReasonCode::CLOUD_UNREACHABLE, cause);
        Self { failure, again: Again::Attempts(UNREACHABLE_ATTEMPTS), lost: true }
    }

    /// Nothing was sent.
    fn unresolved(cause: String) -> Self {
        let failure = Failure::new(ReasonCode::CLOUD_UNRESOLVED, cause);
        Self { failure, again: Again::Attempts(UNREACHABLE_ATTEMPTS), lost: false }
    }

    /// Whoever answers for AWS may have passed the question on.
    fn stranger(cause: String) -> Self {
        let failure = Failure::new(ReasonCode::CLOUD_PORTAL, cause);
        Self { failure, again: Again::Attempts(UNREACHABLE_ATTEMPTS), lost: true }
    }

    /// AWS names what was asked for: "… is not authorized to perform: ACTION on resource: ARN because …". The action
    /// may be another than the call's own, such as iam:PassRole.
    fn denied(cause: String, message: &str) -> Self {
        let message = &*without_tokens(message);
        let named = |before: &str| {
            let word = message.split_once(before)?.1.split_whitespace().next()?.trim_end_matches(['.', ',', ';']);
            let whole = word.chars().all(|c| c.is_ascii_graphic()) && !word.contains(DROPPED);
            (word.len() <= RESOURCE_CHARS && whole).then_some(word)
        };
        let mut failure = Failure::new(ReasonCode::CLOUD_PERMISSION, cause);
        for (name, before) in [("action", "authorized to perform: "), ("resource", "on resource: ")] {
            if let Some(word) = named(before) {
                failure = failure.with(name, word);
            }
        }
        Self { failure, again: Again::Never, lost: false }
    }

    fn failed(cause: String) -> Self {
        let failure = Failure::new(ReasonCode::CLOUD_FAILED, cause);
        Self { failure, again: Again::Attempts(FAILED_ATTEMPTS), lost: true }
    }

    fn unreadable(status: u16, error: &(dyn Error + 'static)) -> Self {
        Self::failed(format!("the answer (HTTP {status}) can't be read: {}", last_cause(error)))
    }

    fn throttled(cause: String) -> Self {
        let failure = Failure::new(ReasonCode::CLOUD_THROTTLED, cause);
        Self { failure, again: Again::UntilDeadline, lost: false }
    }

    pub(in crate::adapters) fn refused(code: ReasonCode, cause: String) -> Self {
        Self::never(Failure::new(code, cause))
    }

    pub(in crate::adapters) fn never(failure: Failure) -> Self {
        Self { failure, again: Again::Never, lost: false }
    }
}

fn speaks_of_time(message: &str) -> bool {
    ["expired", "not yet current", "earlier than", "later than", "skew"].iter().any(|word| message.contains(word))
}

fn one_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    without_tokens(line).chars().take(MESSAGE_CHARS).collect()
}

/// AWS, or who answers for it, may repeat what the request was signed with: a header by its name, and any word that
/// is longer than a name or an id of AWS's and has nothing of an ARN's or a sentence's in it.
fn without_tokens(line: &str) -> Cow<'_, str> {
    const HEADER: &str = "x-amz-security-token";
    let end = line.to_ascii_lowercase().find(HEADER).map(|at| at + HEADER.len());
    let kept = end.map_or(line, |end| &line[..end]);
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_' | '%');
    let is_long = |word: &str| word.chars().count() > LONGEST_WORD && word.chars().all(is_token);
    let separators = |c: char| !is_token(c);
    if end.is_none() && !kept.split(separators).any(is_long) {
        return Cow::Borrowed(line);
    }
    let dropped = if end.is_some() { format!(" {DROPPED}") } else { String::new() };
    let words = kept.split_inclusive(separators).map(|piece| {
        let word = piece.trim_end_matches(separators);
        if is_long(word) { format!("{DROPPED}{}", &piece[word.len()..]) } else { piece.to_owned() }
    });
    Cow::Owned(words.collect::<String>() + &dropped)
}

/// An I/O error's `source` passes over what it holds, and that is what TLS says.
pub(in crate::adapters) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// The innermost cause says what happened ("Connection refused"); what is around it only says where.
fn last_cause(error: &(dyn Error + 'static)) -> String {
    one_line(&causes(error).last().map(ToString::to_string).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_iot::error::ErrorMetadata;
    use aws_sdk_iot::operation::create_thing::CreateThingError;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse as Response;
    use aws_smithy_types::body::SdkBody;

    fn answer(status: u16, code: &str, message: &str) -> SdkError<CreateThingError, HttpResponse> {
        let meta = ErrorMetadata::builder().code(code).message(message).build();
        let mut raw = Response::new(status.try_into().unwrap(), SdkBody::empty());
        raw.headers_mut().insert("x-amzn-requestid", "0f");
        SdkError::service_error(CreateThingError::generic(meta), raw)
    }

    fn others(status: u16, headers: &[(&'static str, &'static str)]) -> SdkError<CreateThingError, HttpResponse> {
        let mut raw = Response::new(status.try_into().unwrap(), SdkBody::from("<html>"));
        for (name, value) in headers {
            raw.headers_mut().insert(*name, *value);
        }
        SdkError::service_error(CreateThingError::generic(ErrorMetadata::builder().build()), raw)
    }

    #[test]
    fn what_is_not_awss_is_a_portal_save_what_its_load_balancers_say_for_it() {
        for status in [302, 307, 403, 404, 407, 511] {
            let trouble = classify(&others(status, &[("content-type", "text/html")]));
            assert_eq!((trouble.failure.code, trouble.lost), (ReasonCode::CLOUD_PORTAL, true), "{status}");
        }
        let to = "https://portal.example/sign-in?mac=00:11:22";
        let told = classify(&others(302, &[("location", to)])).failure.cause;
        assert!(told.contains("https://portal.example/sign-in") && !told.contains("00:11:22"), "{told}");
        for status in [502, 503, 504] {
            assert_eq!(classify(&others(status, &[])).failure.code, ReasonCode::CLOUD_FAILED, "{status}");
        }
    }

    #[test]
    fn a_missing_permission_is_told_with_action_and_resource() {
        let message = "User: arn:aws:iam::1:user/a is not authorized to perform: iam:PassRole on resource: \
                       arn:aws:iam::1:role/join because no identity-based policy allows the iam:PassRole action";
        let told = classify(&answer(403, "AccessDeniedException", message)).failure;
        assert_eq!((&*told.args["action"], &*told.args["resource"]), ("iam:PassRole", "arn:aws:iam::1:role/join"));
        let long = format!("not authorized to perform: iot:X on resource: {}", "a".repeat(1000));
        assert!(!classify(&answer(403, "AccessDeniedException", &long)).failure.args.contains_key("resource"));
        assert!(classify(&answer(401, "UnauthorizedException", "")).failure.args.is_empty());
    }

    #[test]
    fn what_tls_says_is_told_apart() {
        use rustls::{CertificateError as Why, Error as Tls, InvalidMessage};
        let said = |error: Tls| {
            let io = io::Error::new(io::ErrorKind::InvalidData, error);
            let failed = SdkError::<CreateThingError, _>::dispatch_failure(ConnectorError::io(io.into()));
            let trouble = classify(&failed);
            (trouble.failure.code, trouble.again == Again::Never, trouble.lost)
        };
        let unknown = Tls::InvalidCertificate(Why::UnknownIssuer);
        assert_eq!(said(unknown), (ReasonCode::CLOUD_INTERCEPTED, true, false));
        for why in [Why::Expired, Why::NotValidYet] {
            assert_eq!(said(Tls::InvalidCertificate(why)), (ReasonCode::CLOUD_CLOCK, true, false));
        }
        let plain = Tls::InvalidMessage(InvalidMessage::InvalidContentType);
        assert_eq!(said(plain), (ReasonCode::CLOUD_PORTAL, false, false));
    }

    #[test]
    fn every_exception_has_its_reason() {
        use ReasonCode as R;
        let table = [
            (400, "ThrottlingException", R::CLOUD_THROTTLED),
            (429, "TooManyRequestsException", R::CLOUD_THROTTLED),
            (429, "", R::CLOUD_THROTTLED),
            (500, "InternalFailureException", R::CLOUD_FAILED),
            (503, "ServiceUnavailableException", R::CLOUD_FAILED),
            (502, "", R::CLOUD_FAILED),
            (403, "UnrecognizedClientException", R::CLOUD_CREDENTIALS),
            (403, "InvalidClientTokenId", R::CLOUD_CREDENTIALS),
            (403, "ExpiredTokenException", R::CLOUD_EXPIRED),
            (403, "MissingAuthenticationTokenException", R::CLOUD_CREDENTIALS),
            (401, "UnauthorizedException", R::CLOUD_PERMISSION),
            (403, "AccessDeniedException", R::CLOUD_PERMISSION),
            (403, "", R::CLOUD_PERMISSION),
            (403, "RequestTimeTooSkewed", R::CLOUD_CLOCK),
            (400, "InvalidRequestException", R::CLOUD_REFUSED),
            (400, "MalformedPolicyException", R::CLOUD_REFUSED),
            (400, "", R::CLOUD_FAILED),
            (404, "", R::CLOUD_FAILED),
            (409, "", R::CLOUD_FAILED),
            (400, "CertificateValidationException", R::CLOUD_CERTIFICATE),
            (406, "CertificateStateException", R::CLOUD_CERTIFICATE),
            (409, "CertificateConflictException", R::CLOUD_CERTIFICATE),
            (410, "LimitExceededException", R::CLOUD_LIMIT),
        ];
        for (status, code, reason) in table {
            assert_eq!(classify(&answer(status, code, "m")).failure.code, reason, "{status} {code}");
        }
    }

    #[test]
    fn a_wrong_clock_and_a_wrong_secret_are_told_apart_and_neither_shows_the_request() {
        let token = "x-amz-security-token:IQoJb3JpZ2lu";
        let skewed = format!("Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z\n{token}");
        let clock = classify(&answer(403, "InvalidSignatureException", &skewed));
        assert_eq!(clock.failure.code, ReasonCode::CLOUD_CLOCK);
        let wrong = format!("The request signature we calculated does not match {token}");
        let secret = classify(&answer(403, "InvalidSignatureException", &wrong));
        assert_eq!(secret.failure.code, ReasonCode::CLOUD_CREDENTIALS);
        assert!(!clock.failure.cause.contains("IQoJ") && !secret.failure.cause.contains("IQoJ"));
    }

    #[test]
    fn what_a_request_was_signed_with_is_in_no_message() {
        let token = format!("IQoJb3JpZ2lu{}", "a/B+c9=".repeat(60));
        for (status, code) in
            [(403, "AccessDeniedException"), (400, "InvalidRequestException"), (500, "InternalFailure")]
        {
            for message in [
                format!("bad header X-Amz-Security-Token:{token}"),
                format!("not authorized to perform: iot:X on resource: {token} because"),
                format!("token {token}, and more"),
            ] {
                let failure = classify(&answer(status, code, &message)).failure;
                let told = format!("{} {:?}", failure.cause, failure.args);
                assert!(!told.contains("IQoJ") && told.contains("[dropped]"), "{told}");
            }
        }
        let thing = "t".repeat(128);
        let said = format!("resource: arn:aws:iot:eu-west-1:000000000000:thing/{thing} is not there");
        assert!(classify(&answer(400, "InvalidRequestException", &said)).failure.cause.ends_with("is not there"));
    }

    #[test]
    fn an_error_of_awss_without_a_name_is_an_answer_that_can_not_be_read() {
        for status in [400, 404, 409] {
            let trouble = classify(&answer(status, "", ""));
            assert_eq!(trouble.again, Again::Attempts(FAILED_ATTEMPTS), "{status}");
            assert!(trouble.lost, "{status}");
        }
        assert_eq!(classify(&answer(403, "", "")).again, Again::Never);
    }

    #[test]
    fn only_an_answer_that_settles_it_counts_as_not_done() {
        assert!(!classify(&answer(400, "ThrottlingException", "")).lost);
        assert!(!classify(&answer(400, "InvalidRequestException", "")).lost);
        assert!(classify(&answer(500, "InternalFailureException", "")).lost);
        let refused = ConnectorError::io("connection refused".into());
        assert!(classify(&SdkError::<CreateThingError, _>::dispatch_failure(refused)).lost);
    }

    #[test]
    fn nobody_there_and_nothing_to_sign_with_are_told_apart() {
        let gone = SdkError::<CreateThingError, _>::dispatch_failure(ConnectorError::io("refused".into()));
        assert_eq!(classify(&gone).failure.code, ReasonCode::CLOUD_UNREACHABLE);
        assert_eq!(classify(&gone).failure.cause, "refused");
        let late = SdkError::<CreateThingError, HttpResponse>::timeout_error("5 s");
        assert_eq!(classify(&late).failure.code, ReasonCode::CLOUD_UNREACHABLE);
        let unsigned = |error: CredentialsError| {
            SdkError::<CreateThingError, HttpResponse>::dispatch_failure(ConnectorError::other(error.into(), None))
        };
        let none = unsigned(CredentialsError::not_loaded("no providers in chain provided credentials"));
        assert_eq!(classify(&none).failure.code, ReasonCode::CLOUD_CREDENTIALS);
        let session = "the SSO token has expired and cannot be refreshed";
        let expired = unsigned(CredentialsError::provider_error(io::Error::other(session)));
        assert_eq!(classify(&expired).failure.code, ReasonCode::CLOUD_EXPIRED);
        let offline = unsigned(CredentialsError::provider_error(ConnectorError::io("sso unreachable".into())));
        assert_eq!(classify(&offline).failure.code, ReasonCode::CLOUD_UNREACHABLE);
    }

    #[test]
    fn throttling_waits_longest_and_a_refusal_not_at_all() {
        assert_eq!(classify(&answer(400, "ThrottlingException", "")).again, Again::UntilDeadline);
        assert_eq!(classify(&answer(500, "InternalFailureException", "")).again, Again::Attempts(FAILED_ATTEMPTS));
        assert_eq!(classify(&answer(403, "AccessDeniedException", "")).again, Again::Never);
    }
}
