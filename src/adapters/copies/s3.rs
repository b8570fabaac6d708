//! Copies in an S3 bucket, best one with object lock.

use std::collections::VecDeque;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;

use super::{LONGEST_NOTE, LOOKED, SUFFIX, flooded, may_be_of, tag, tags, unread, unwritten};
use crate::adapters::aws_account;
use crate::config::S3Copies;
use crate::domain::{Failure, StationName};
use crate::ports::{CheckpointPlace, StoredCheckpoint, Wanted};

/// One call, its retries included.
const WITHIN: Duration = Duration::from_secs(15);
/// The search for the newest, whatever lies there.
const SEARCH_WITHIN: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// The search for the newest begins this many events before the log's own end, and goes back by ever
/// larger steps.
const FIRST_STEP: u64 = 4096;

/// A bucket and a prefix in it. Objects are named by size first, so that S3's own order is theirs and
/// the newest are found without listing years of them: `<prefix><size, 20 digits>-<station>.<log>.checkpoint`.
pub struct Bucket {
    client: Client,
    bucket: String,
    prefix: String,
    name: String,
}

impl Bucket {
    /// Credentials of the profile that is named, else from the AWS default chain. Makes no call and cannot fail.
    pub async fn new(plan: &S3Copies) -> Self {
        let shared = aws_account::config(&plan.region, plan.aws_profile.as_deref()).await;
        Self::of(plan, aws_sdk_s3::config::Builder::from(&shared))
    }

    /// The same with credentials of the caller's own and nothing from the environment.
    pub fn with_credentials(plan: &S3Copies, credentials: impl ProvideCredentials + 'static) -> Self {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(aws_account::region(&plan.region))
            .credentials_provider(credentials);
        Self::of(plan, config)
    }

    fn of(plan: &S3Copies, mut config: aws_sdk_s3::config::Builder) -> Self {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_WITHIN).operation_timeout(WITHIN).build();
        config = config.retry_config(RetryConfig::standard().with_max_attempts(3)).timeout_config(timeouts);
        if let Some(endpoint) = &plan.endpoint {
            // A stand-in has no host a bucket.
            config = config.endpoint_url(endpoint).force_path_style(true);
        }
        Self {
            client: Client::from_conf(config.build()),
            bucket: plan.bucket.clone(),
            prefix: plan.prefix.clone(),
            name: format!("s3://{}/{}", plan.bucket, plan.prefix),
        }
    }

    /// Makes the object, unless one is there. `false`: it holds something else.
    async fn keeps(&self, key: &str, note: &str) -> Result<bool, Failure> {
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type("text/plain; charset=utf-8")
            .if_none_match("*")
            .body(ByteStream::from(note.as_bytes().to_vec()))
            .send();
        match put.await {
            Ok(_) => Ok(true),
            // Two writers at once (409) end as one that came first (412), once it is there.
            Err(error) if matches!(error.code(), Some("PreconditionFailed" | "ConditionalRequestConflict")) => {
                let there = self.get(key).await;
                there.map(|text| text == note).map_err(|cause| unwritten(&self.name, cause))
            }
            Err(error) => Err(unwritten(&self.name, said("PutObject", &error))),
        }
    }

    async fn get(&self, key: &str) -> Result<String, String> {
        let get = self.client.get_object().bucket(&self.bucket).key(key);
        // Whatever is longer is no note; its beginning is none, either.
        let get = get.range(format!("bytes=0-{}", LONGEST_NOTE - 1));
        let object = match get.send().await {
            // Of an object without a byte there is no first one.
            Err(error) if error.code() == Some("InvalidRange") => return Ok(String::new()),
            sent => sent.map_err(|error| said("GetObject", &error))?,
        };
        let body = object.body.collect().await.map_err(|error| format!("GetObject: {error}"))?;
        Ok(String::from_utf8_lossy(&body.into_bytes()).into_owned())
    }

    /// The last names of the log `log` after `start` and up to `end`, in S3's order, and whether there are
    /// more than [`LOOKED`].
    async fn names(&self, start: &str, end: Option<&str>, log: &str) -> Result<(VecDeque<String>, bool), String> {
        let (mut names, mut more) = (VecDeque::new(), false);
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(&self.prefix)
            .start_after(start)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| said("ListObjectsV2", &error))?;
            let found = page.contents().iter().filter_map(|object| object.key());
            let mut over = false;
            for key in found {
                over = end.is_some_and(|end| key > end);
                if over {
                    break;
                }
                names.extend(self.is_ours(key, log).then(|| key.to_owned()));
            }
            let surplus = names.len().saturating_sub(LOOKED);
            more |= surplus > 0;
            names.drain(..surplus);
            if over {
                break;
            }
        }
        Ok((names, more))
    }

    fn is_ours(&self, key: &str, log: &str) -> bool {
        let rest = key.strip_prefix(&self.prefix).and_then(|name| name.strip_suffix(SUFFIX));
        let rest = rest.filter(|stem| may_be_of(stem, log));
        rest.and_then(|name| name.split_at_checked(20)).is_some_and(|(size, rest)| {
            size.parse::<u64>().is_ok() && size.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with('-')
        })
    }

    fn key(&self, station: &StationName, size: u64, note: &str, beside: bool) -> String {
        format!("{}{size:020}-{station}{}{SUFFIX}", self.prefix, tags(note, beside))
    }

    async fn search(&self, wanted: &Wanted) -> Result<Vec<String>, String> {
        let log = tag(wanted.origin.as_str());
        let (mut notes, mut looked) = (Vec::new(), 0);
        let (mut step, mut end) = (FIRST_STEP, None);
        loop {
            let start = wanted.log.saturating_sub(step);
            // Nothing sorts before all digits but their prefix.
            let after = if start == 0 { self.prefix.clone() } else { format!("{}{start:020}", self.prefix) };
            let (names, more) = self.names(&after, end.as_deref(), &log).await?;
            for name in names.iter().rev() {
                if looked == LOOKED {
                    return Err(flooded());
                }
                looked += 1;
                let note = self.get(name).await?;
                if (wanted.counts)(&note) {
                    notes.push(note);
                }
                if notes.len() == wanted.count {
                    return Ok(notes);
                }
            }
            if more {
                return Err(flooded());
            }
            if start == 0 {
                return Ok(notes);
            }
            step = step.saturating_mul(64);
            end = Some(after);
        }
    }
}

#[async_trait::async_trait]
impl CheckpointPlace for Bucket {
    fn name(&self) -> &str {
        &self.name
    }

    async fn is_elsewhere(&self) -> Result<bool, Failure> {
        Ok(true)
    }

    async fn put(&self, station: &StationName, checkpoint: &StoredCheckpoint) -> Result<(), Failure> {
        let (size, note) = (checkpoint.size, checkpoint.note.as_str());
        if self.keeps(&self.key(station, size, note, false), note).await?
            || self.keeps(&self.key(station, size, note, true), note).await?
        {
            return Ok(());
        }
        Err(unwritten(&self.name, format!("the copy of size {size} was altered")))
    }

    async fn newest(&self, wanted: &Wanted) -> Result<Vec<String>, Failure> {
        let late = |_| Err(format!("the search for the newest took longer than {} s", SEARCH_WITHIN.as_secs()));
        let found = tokio::time::timeout(SEARCH_WITHIN, self.search(wanted)).await.unwrap_or_else(late);
        found.map_err(|cause| unread(&self.name, cause))
    }
}

/// What AWS answered, or why there was no answer.
fn said<E>(call: &str, error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let Some(code) = error.code() {
        return format!("{call}: {code}: {}", error.message().unwrap_or_default());
    }
    let status = error.raw_response().map(|answer| format!(" (HTTP {})", answer.status().as_u16()));
    let mut text = format!("{call}: {error}{}", status.unwrap_or_default());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
