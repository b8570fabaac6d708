//! The high-water mark: whole whatever happens, and never lower than it was.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lineseal::adapters::mark::MarkFile;
use lineseal::audit::TreeHead;
use lineseal::domain::ReasonCode;
use lineseal::ports::HighWaterMark;

fn head(size: u64) -> TreeHead {
    let mut root = [0xab; 32];
    root[..8].copy_from_slice(&size.to_be_bytes());
    TreeHead { size, root }
}

#[tokio::test]
async fn a_mark_is_raised_and_never_lowered() {
    let dir = tempfile::tempdir().unwrap();
    let mark = MarkFile::of(dir.path());
    assert_eq!(mark.read().await.unwrap(), None);
    mark.raise(head(7)).await.unwrap();
    mark.raise(head(5)).await.unwrap();
    assert_eq!(mark.read().await.unwrap(), Some(head(7)));
    // Another process's beginning: what is on disk counts, not what this one has seen.
    let later = MarkFile::of(dir.path());
    later.raise(head(6)).await.unwrap();
    assert_eq!(later.read().await.unwrap(), Some(head(7)));
    later.raise(head(8)).await.unwrap();
    assert_eq!(mark.read().await.unwrap(), Some(head(8)));
    later.reset(head(3)).await.unwrap();
    assert_eq!(later.read().await.unwrap(), Some(head(3)), "after a ruling it is what the log is");
    later.raise(head(4)).await.unwrap();
    assert_eq!(later.read().await.unwrap(), Some(head(4)));
}

#[tokio::test]
async fn another_root_at_the_marks_own_size_is_another_log() {
    let dir = tempfile::tempdir().unwrap();
    let mark = MarkFile::of(dir.path());
    mark.raise(head(7)).await.unwrap();
    let other = TreeHead { size: 7, root: [1; 32] };
    assert_eq!(mark.raise(other).await.unwrap_err().code, ReasonCode::LOG_ROLLED_BACK);
    assert_eq!(mark.read().await.unwrap(), Some(head(7)));
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_raise_at_once_all_find_the_mark_at_their_own_head_or_beyond() {
    let dir = tempfile::tempdir().unwrap();
    let mark = Arc::new(MarkFile::of(dir.path()));
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..16 {
        let mark = mark.clone();
        lanes.spawn(async move {
            for step in 0..20 {
                let mine = head(1 + step * 16 + lane);
                mark.raise(mine).await.unwrap();
                assert!(mark.read().await.unwrap().unwrap().size >= mine.size);
            }
        });
    }
    while let Some(done) = lanes.join_next().await {
        done.unwrap();
    }
    assert_eq!(mark.read().await.unwrap(), Some(head(320)));
}

#[tokio::test]
async fn a_damaged_mark_is_reported_and_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(MarkFile::FILE);
    let good = format!("7 {}\n", hex::encode(head(7).root));
    for damaged in
        ["", "7", "7 abc\n", good.trim_end(), &good.replace("7 ", "07 "), &good.to_uppercase(), &format!("{good}x")]
    {
        std::fs::write(&path, damaged).unwrap();
        let mark = MarkFile::of(dir.path());
        assert_eq!(mark.read().await.unwrap_err().code, ReasonCode::MARK_FAILED, "{damaged:?}");
        assert_eq!(mark.raise(head(9)).await.unwrap_err().code, ReasonCode::MARK_FAILED, "{damaged:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
    }
}

#[tokio::test]
async fn a_mark_that_cannot_be_written_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    // A folder in its place: nothing can be moved there, whoever runs this.
    std::fs::create_dir_all(dir.path().join(MarkFile::FILE).join("x")).unwrap();
    let mark = MarkFile::of(dir.path());
    assert_eq!(mark.raise(head(1)).await.unwrap_err().code, ReasonCode::MARK_FAILED);
    let gone = MarkFile::of(&dir.path().join("gone"));
    let failure = gone.raise(head(1)).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::MARK_FAILED);
    assert!(failure.cause.contains("high-water-mark"), "{failure}");
}

/// Names the data directory to the child that is going to be killed.
const CHILD: &str = "LINESEAL_TEST_KILLED_MARK";

/// The test is its own victim: started again with [`CHILD`] set, it raises until it is killed.
#[test]
fn kill_9_leaves_a_whole_mark_that_is_not_behind_what_was_acknowledged() {
    if let Some(directory) = std::env::var_os(CHILD) {
        raise_for_ever(Path::new(&directory));
    }
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let acknowledged = || -> u64 {
        let text = std::fs::read_to_string(dir.path().join("acknowledged")).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().last().map_or(0, |line| line.parse().unwrap())
    };
    let mut before = 0;
    for _ in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "mark::kill_9_leaves_a_whole_mark_that_is_not_behind_what_was_acknowledged",
                "--nocapture",
            ])
            .env(CHILD, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while acknowledged() < before + 10 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_micros(rand::random_range(0..5000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let mark = runtime.block_on(MarkFile::of(dir.path()).read()).unwrap().unwrap();
        assert_eq!(mark, head(mark.size), "half of one mark and half of another");
        let now = acknowledged();
        assert!(now >= before + 10, "the child raised nothing");
        assert!(mark.size >= now, "{} was acknowledged, {} is on disk", now, mark.size);
        before = now;
    }
}

fn raise_for_ever(directory: &Path) -> ! {
    use std::io::Write as _;
    let mut acknowledged =
        std::fs::OpenOptions::new().create(true).append(true).open(directory.join("acknowledged")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mark = MarkFile::of(directory);
        let mut size = mark.read().await.unwrap().map_or(0, |mark| mark.size);
        loop {
            size += 1;
            mark.raise(head(size)).await.unwrap();
            writeln!(acknowledged, "{size}").unwrap();
        }
    })
}
