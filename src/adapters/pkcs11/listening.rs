//! What a worker, its module and its command print: the debug log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

use super::heard::word;

/// [`keep_as_debug_log`] to the output's end; but a process that got away and holds it is not listened
/// to for ever.
pub(super) async fn listen(
    output: impl AsyncRead + Unpin,
    worker: u32,
    stream: &'static str,
    mut until: watch::Receiver<()>,
    complaint: Option<Complaint>,
) {
    const LAST_WORDS: Duration = Duration::from_secs(1);
    let over = async {
        while until.changed().await.is_ok() {}
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = keep_as_debug_log(output, worker, stream, complaint) => {}
        () = over => {}
    }
}

/// Reads what the module prints to its end, so that it never blocks on a full pipe, and keeps the
/// first part of it as the debug log, line by line.
async fn keep_as_debug_log(
    mut output: impl AsyncRead + Unpin,
    worker: u32,
    stream: &'static str,
    complaint: Option<Complaint>,
) {
    const LONGEST_LINE: usize = 2048;
    const KEPT: usize = 1 << 20;
    let mut chunk = [0; 4096];
    let mut line = Vec::new();
    let mut seen = 0;
    let note = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        tracing::debug!(worker, stream, "{}", line.escape_debug());
        if let Some(complaint) = &complaint {
            complaint.hear(&line);
        }
    };
    while let Ok(count @ 1..) = output.read(&mut chunk).await {
        let kept_before = seen < KEPT;
        seen += count;
        if !kept_before {
            continue;
        }
        for byte in &chunk[..count] {
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || line.len() == LONGEST_LINE {
                note(&line);
                line.clear();
            }
        }
        if seen >= KEPT {
            tracing::debug!(worker, stream, "the module prints too much; the rest is dropped");
            line.clear();
        }
    }
    if !line.is_empty() {
        note(&line);
    }
}

/// The last line of a stream that says something.
#[derive(Clone, Default)]
pub(super) struct Complaint(Arc<Mutex<String>>);

impl Complaint {
    fn hear(&self, line: &str) {
        if !line.trim().is_empty() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = word(line.trim());
        }
    }

    pub(super) fn last(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
