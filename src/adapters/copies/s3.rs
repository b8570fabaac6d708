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

use super::{LONGEST_NOTE, SUFFIX, short_hash, unread, unwritten};
use crate::config::S3Copies;
use crate::domain::{Failure, StationName};
use crate::ports::{CheckpointPlace, StoredCheckpoint};

/// One call, its retries included.
const WITHIN: Duration = Duration::from_secs(15);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// The search for the newest begins this many events before the log's own end, and goes back by ever
/// larger steps.
const FIRST_STEP: u64 = 4096;

/// A bucket and a prefix in it. Objects are named by size first, so that S3's own order is theirs and
/// the newest are found without listing years of them: `<prefix><size, 20 digits>-<station>.checkpoint`.
pub struct Bucket {
    client: Client,
    bucket: String,
    prefix: String,
    name: String,
}

impl Bucket {
    /// Credentials from the AWS default chain. Makes no call and cannot fail.
    pub async fn new(plan: &S3Copies) -> Self {
        let region = aws_config::Region::new(plan.region.as_str().to_owned());
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(region);
        if let Some(profile) = &plan.aws_profile {
            loader = loader.profile_name(profile);
        }
        Self::of(plan, aws_sdk_s3::config::Builder::from(&loader.load().await))
    }

    /// The same with credentials of the caller's own and nothing from the environment.
    pub fn with_credentials(plan: &S3Copies, credentials: impl ProvideCredentials + 'static) -> Self {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(aws_config::Region::new(plan.region.as_str().to_owned()))
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
        let object = get.send().await.map_err(|error| said("GetObject", &error))?;
        let body = object.body.collect().await.map_err(|error| format!("GetObject: {error}"))?;
        Ok(String::from_utf8_lossy(&body.into_bytes()).into_owned())
    }

    /// The last `count` names after `start`, in S3's order.
    async fn names(&self, start: &str, count: usize) -> Result<VecDeque<String>, String> {
        let mut names = VecDeque::new();
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
            names.extend(found.filter(|key| self.is_ours(key)).map(str::to_owned));
            let surplus = names.len().saturating_sub(count);
            names.drain(..surplus);
        }
        Ok(names)
    }

    fn is_ours(&self, key: &str) -> bool {
        let rest = key.strip_prefix(&self.prefix).and_then(|name| name.strip_suffix(SUFFIX));
        rest.and_then(|name| name.split_at_checked(20)).is_some_and(|(size, rest)| {
            size.parse::<u64>().is_ok() && size.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with('-')
        })
    }

    fn key(&self, station: &StationName, size: u64, beside: Option<&str>) -> String {
        let hash = beside.map(|note| format!(".{}", short_hash(note))).unwrap_or_default();
        format!("{}{size:020}-{station}{hash}{SUFFIX}", self.prefix)
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
        if self.keeps(&self.key(station, size, None), note).await?
            || self.keeps(&self.key(station, size, Some(note)), note).await?
        {
            return Ok(());
        }
        Err(unwritten(&self.name, format!("the copy of size {size} was altered")))
    }

    async fn newest(&self, log: u64, count: usize) -> Result<Vec<String>, Failure> {
        let mut step = FIRST_STEP;
        let names = loop {
            let start = log.saturating_sub(step);
            // Nothing sorts before all digits but their prefix.
            let after = if start == 0 { self.prefix.clone() } else { format!("{}{start:020}", self.prefix) };
            let names = self.names(&after, count).await.map_err(|cause| unread(&self.name, cause))?;
            if names.len() >= count || start == 0 {
                break names;
            }
            step = step.saturating_mul(64);
        };
        let mut notes = Vec::with_capacity(names.len());
        for name in names.iter().rev() {
            notes.push(self.get(name).await.map_err(|cause| unread(&self.name, cause))?);
        }
        Ok(notes)
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
