//! A profile's `prepare` command: a program with a deadline, and what it said when it failed.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use secrecy::zeroize::Zeroizing;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt as _};
use tokio::process::ChildStdin;

/// What is kept of each output stream.
const KEPT: usize = 2048;
/// Output still on its way after the program ended; a child of its own may hold the stream for ever.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What becomes of what a program says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is part of the cause, where the program fails.
    Told,
    /// It is nobody's: the program was given a secret, and may repeat it.
    Kept,
}

/// Runs the program to its end: status 0 within `timeout`, else the cause. The program, and what it
/// started, is killed when the time is up or the call is dropped.
pub(super) async fn run(
    line: &[String],
    stdin: Option<Zeroizing<String>>,
    timeout: Duration,
    heard: Heard,
) -> Result<(), String> {
    let Some((program, args)) = line.split_first() else { return Err("the command is empty".to_owned()) };
    let mut child = tokio::process::Command::new(program)
        .args(args)
        .stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    let mut group = KillGroup(child.id());
    let (into, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut said, mut complained) = (Zeroizing::new(Vec::new()), Zeroizing::new(Vec::new()));
    let ended = {
        let mut listening = std::pin::pin!(async {
            tokio::join!(tell(into, stdin), listen(out, &mut said), listen(err, &mut complained))
        });
        let mut heard_all = false;
        // Both streams are read while the program runs, or it would wait for us.
        let ended = tokio::time::timeout(timeout, async {
            tokio::select! {
                status = child.wait() => status,
                _ = &mut listening => {
                    heard_all = true;
                    child.wait().await
                }
            }
        });
        let ended = ended.await;
        if !heard_all {
            let _ = tokio::time::timeout(LAST_WORDS, listening).await;
        }
        ended
    };
    let what = match ended {
        Ok(Ok(status)) if status.success() => {
            // What it started on purpose may go on.
            group.0 = None;
            return Ok(());
        }
        Ok(Ok(status)) => describe(status),
        Ok(Err(error)) => format!("cannot be waited for: {error}"),
        Err(_) => format!("did not end within {} ms", timeout.as_millis()),
    };
    Err(match heard {
        Heard::Told => format!("{program} {what}{}{}", quoted("stdout", &said), quoted("stderr", &complained)),
        Heard::Kept => format!("{program} {what}"),
    })
}

/// All of it, and the stream is closed. A program that does not read to the end has its own reasons: its status says
/// what came of it.
async fn tell(stream: Option<ChildStdin>, text: Option<Zeroizing<String>>) {
    let (Some(mut stream), Some(text)) = (stream, text) else { return };
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Reads to the end, keeps the beginning.
async fn listen(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut chunk = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        let room = KEPT - kept.len();
        kept.extend_from_slice(&chunk[..count.min(room)]);
    }
}

fn describe(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("ended with status {code}"))
}

fn quoted(stream: &str, bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.trim().is_empty() { String::new() } else { format!("; {stream}: {}", text.trim()) }
}

/// A shell's children outlive the shell, so the whole group is killed.
struct KillGroup(Option<u32>);

impl Drop for KillGroup {
    fn drop(&mut self) {
        let id = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = rustix::process::kill_process_group(id, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    async fn sh(script: &str, timeout: Duration) -> Result<(), String> {
        run(&["/bin/sh", "-c", script].map(str::to_owned), None, timeout, Heard::Told).await
    }

    #[tokio::test]
    async fn what_it_reads_is_all_of_it_and_then_the_end_and_what_it_says_of_a_secret_is_kept() {
        let secret = "-----BEGIN X-----\n".to_owned() + &"s3cret".repeat(40_000);
        let with = async |script: &str, heard| {
            let line = ["/bin/sh", "-c", script].map(str::to_owned);
            run(&line, Some(Zeroizing::new(secret.clone())), LONG, heard).await
        };
        let count = format!("test $(wc -c) = {}", secret.len());
        assert_eq!(with(&count, Heard::Kept).await, Ok(()));
        // One that reads nothing, and one that repeats it.
        assert_eq!(with("exit 0", Heard::Kept).await, Ok(()));
        assert!(with("cat; exit 4", Heard::Told).await.unwrap_err().contains("s3cret"));
        assert_eq!(with("cat; exit 4", Heard::Kept).await.unwrap_err(), "/bin/sh ended with status 4");
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn status_0_is_success_and_anything_else_says_what_was_said() {
        assert_eq!(sh("echo fine", LONG).await, Ok(()));
        let cause = sh("echo waking; echo no chip >&2; exit 3", LONG).await.unwrap_err();
        assert_eq!(cause, "/bin/sh ended with status 3; stdout: waking; stderr: no chip");
        let cause = sh("kill -9 $$", LONG).await.unwrap_err();
        assert!(cause.contains("signal: 9"), "{cause}");
    }

    #[tokio::test]
    async fn the_deadline_ends_it_and_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let start = Instant::now();
        let script = format!("(sleep 2; touch {}) & echo asleep; sleep 60", mark.display());
        let cause = sh(&script, Duration::from_millis(300)).await.unwrap_err();
        assert_eq!(cause, "/bin/sh did not end within 300 ms; stdout: asleep");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert!(!mark.exists(), "the child lived on");
    }

    #[tokio::test]
    async fn endless_output_neither_blocks_it_nor_fills_memory() {
        let cause = sh("head -c 3000000 /dev/zero | tr '\\0' x; exit 1", LONG).await.unwrap_err();
        assert!(cause.len() < 3 * KEPT, "{}", cause.len());
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let cause = run(&["/no/such/wake".to_owned()], None, LONG, Heard::Told).await.unwrap_err();
        assert!(cause.starts_with("cannot start /no/such/wake: "), "{cause}");
    }
}
