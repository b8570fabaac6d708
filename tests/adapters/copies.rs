//! Places for copies of the checkpoints: folders on this and another disk, and S3 as moto has it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use lineseal::adapters::copies::{Bucket, Directory, Memory};
use lineseal::config::S3Copies;
use lineseal::domain::{ReasonCode, StationName};
use lineseal::ports::{CheckpointPlace, StoredCheckpoint, Wanted};

use crate::aws_iot::{Peer, ministack, moto};

fn station(name: &str) -> StationName {
    name.parse().unwrap()
}

fn checkpoint(size: u64, note: &str) -> StoredCheckpoint {
    StoredCheckpoint { size, note: format!("plant\n{size}\n{note}\n\n— plant signature\n") }
}

fn notes(checkpoints: &[&StoredCheckpoint]) -> Vec<String> {
    checkpoints.iter().map(|checkpoint| checkpoint.note.clone()).collect()
}

fn wanted(log: u64, count: usize) -> Wanted {
    let counts = |note: &str| note.contains("— plant signature");
    Wanted { origin: "plant".parse().unwrap(), log, count, counts: std::sync::Arc::new(counts) }
}

/// What every place has to do.
async fn contract(place: &dyn CheckpointPlace) {
    let (one, two) = (station("L3-ST2"), station("ST"));
    assert_eq!(place.newest(&wanted(0, 9)).await.unwrap(), Vec::<String>::new());
    let (small, large, middle) = (checkpoint(9, "a"), checkpoint(1_000_000, "b"), checkpoint(77, "c"));
    place.put(&one, &small).await.unwrap();
    place.put(&one, &large).await.unwrap();
    place.put(&two, &middle).await.unwrap();
    // By size and not by text or station, and from wherever the log itself ends.
    for log in [0, 9, 78, 1_000_000, 5_000_000, u64::MAX] {
        assert_eq!(place.newest(&wanted(log, 9)).await.unwrap(), notes(&[&large, &middle, &small]), "from {log}");
        assert_eq!(place.newest(&wanted(log, 2)).await.unwrap(), notes(&[&large, &middle]), "from {log}");
    }
    // Told twice, kept once.
    place.put(&one, &large).await.unwrap();
    assert_eq!(place.newest(&wanted(0, 9)).await.unwrap().len(), 3);
    // After a rollback the log comes to a size for the second time: the first one's copy stays.
    let fork = checkpoint(1_000_000, "another root");
    place.put(&one, &fork).await.unwrap();
    place.put(&one, &fork).await.unwrap();
    let mut two_of_a_size = place.newest(&wanted(0, 2)).await.unwrap();
    two_of_a_size.sort();
    let mut expected = notes(&[&large, &fork]);
    expected.sort();
    assert_eq!(two_of_a_size, expected);
    assert_eq!(place.newest(&wanted(0, 9)).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_folder_keeps_every_copy_and_finds_the_newest() {
    let (data, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(copies.path().join("holiday.jpg"), b"\xff\xd8").unwrap();
    let place = Directory::new(copies.path(), data.path());
    contract(&place).await;
    let names = std::fs::read_dir(copies.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().any(|name| name.to_string_lossy().starts_with("L3-ST2-00000000000000000009.")));
}

#[tokio::test]
async fn a_folder_on_the_logs_own_disk_counts_as_none() {
    let data = tempfile::tempdir().unwrap();
    let copies = data.path().join("copies");
    std::fs::create_dir(&copies).unwrap();
    assert!(!Directory::new(&copies, data.path()).is_elsewhere().await.unwrap());

    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    assert_ne!(elsewhere.path().metadata().unwrap().dev(), data.path().metadata().unwrap().dev(), "two disks");
    assert!(Directory::new(elsewhere.path(), data.path()).is_elsewhere().await.unwrap());
    contract(&Directory::new(elsewhere.path(), data.path())).await;
}

#[tokio::test]
async fn a_share_that_is_not_mounted_is_a_failure_and_is_not_made() {
    let data = tempfile::tempdir().unwrap();
    let share = data.path().join("share");
    let place = Directory::new(&share, data.path());
    assert_eq!(place.put(&station("S"), &checkpoint(1, "a")).await.unwrap_err().code, ReasonCode::COPY_FAILED);
    let failure = place.newest(&wanted(1, 1)).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::COPIES_UNREADABLE);
    assert!(failure.cause.contains("share"), "{failure}");
    assert_eq!(place.is_elsewhere().await.unwrap_err().code, ReasonCode::COPIES_UNREADABLE);
    assert!(!share.exists());
}

#[tokio::test]
async fn a_folder_that_takes_nothing_is_a_failure() {
    let (data, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::set_permissions(copies.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let place = Directory::new(copies.path(), data.path());
    let put = place.put(&station("S"), &checkpoint(1, "a")).await;
    if rustix::process::geteuid().is_root() {
        // Root may write everywhere; what it may not is make a file below a file.
        std::fs::write(data.path().join("file"), "").unwrap();
        let place = Directory::new(data.path().join("file"), data.path());
        assert_eq!(place.put(&station("S"), &checkpoint(1, "a")).await.unwrap_err().code, ReasonCode::COPY_FAILED);
    } else {
        assert_eq!(put.unwrap_err().code, ReasonCode::COPY_FAILED);
    }
}

#[tokio::test]
async fn a_copy_that_was_altered_under_both_of_its_names_is_not_taken_for_kept() {
    let (data, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let place = Directory::new(copies.path(), data.path());
    let (name, note) = (station("S"), checkpoint(5, "a"));
    place.put(&name, &checkpoint(5, "b")).await.unwrap();
    place.put(&name, &note).await.unwrap();
    spoil(copies.path());
    assert_eq!(place.put(&name, &note).await.unwrap_err().code, ReasonCode::COPY_FAILED);
}

fn spoil(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::write(entry.unwrap().path(), "spoilt").unwrap();
    }
}

async fn bucket(peer: &Peer, name: &str, prefix: &str) -> Bucket {
    let client = client(peer);
    client.create_bucket().bucket(name).send().await.unwrap();
    client.put_object().bucket(name).key("holiday.jpg").body(ByteStream::from_static(b"x")).send().await.unwrap();
    let stranger = client.put_object().bucket(name).key(format!("{prefix}readme.txt"));
    stranger.body(ByteStream::from_static(b"x")).send().await.unwrap();
    Bucket::with_credentials(&plan(peer, name, prefix), peer.station.clone())
}

fn plan(peer: &Peer, bucket: &str, prefix: &str) -> S3Copies {
    S3Copies {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        region: peer.region.parse().unwrap(),
        aws_profile: None,
        endpoint: Some(peer.endpoint.clone()),
    }
}

fn client(peer: &Peer) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        // The one Region where a bucket is made without saying where.
        .region(aws_config::Region::new("us-east-1"))
        .credentials_provider(peer.station.clone())
        .endpoint_url(&peer.endpoint)
        .force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

#[tokio::test]
async fn a_bucket_keeps_every_copy_and_finds_the_newest() {
    contract(&bucket(moto().await, "copies-1", "plant/").await).await;
    contract(&bucket(moto().await, "copies-2", "").await).await;
}

/// Whoever may add copies may add this, and nobody may take it away.
#[tokio::test]
async fn an_object_without_a_byte_hides_no_copy() {
    let peer = moto().await;
    let place = bucket(peer, "copies-3", "plant/").await;
    let genuine = checkpoint(9, "a");
    place.put(&station("S"), &genuine).await.unwrap();
    let objects = client(peer).list_objects_v2().bucket("copies-3").send().await.unwrap();
    let key = objects.contents().iter().filter_map(|object| object.key()).find(|key| key.contains("checkpoint"));
    let empty = key.unwrap().replace("00000009", "00000010");
    assert_ne!(Some(empty.as_str()), key);
    client(peer).put_object().bucket("copies-3").key(empty).body(ByteStream::from_static(b"")).send().await.unwrap();
    assert_eq!(place.newest(&wanted(9, 32)).await.unwrap(), notes(&[&genuine]));
}

#[tokio::test]
async fn a_bucket_that_is_not_there_or_not_reached_is_a_failure() {
    let peer = moto().await;
    let away = Bucket::with_credentials(&plan(peer, "no-such-bucket", ""), peer.station.clone());
    assert_eq!(away.put(&station("S"), &checkpoint(1, "a")).await.unwrap_err().code, ReasonCode::COPY_FAILED);
    let failure = away.newest(&wanted(1, 1)).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::COPIES_UNREADABLE);
    assert!(failure.cause.contains("ListObjectsV2: NoSuchBucket"), "{failure}");
    // MiniStack has no buckets, and says first of all who may not ask.
    let guarded = ministack().await;
    let stranger = Bucket::with_credentials(&plan(guarded, "copies-1", ""), guarded.station.clone());
    let failure = stranger.newest(&wanted(1, 1)).await.unwrap_err();
    assert!(failure.cause.contains("AccessDenied"), "{failure}");

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let mut plan = plan(peer, "copies", "");
    plan.endpoint = Some(format!("http://{address}"));
    let away = Bucket::with_credentials(&plan, peer.station.clone());
    assert_eq!(away.newest(&wanted(1, 1)).await.unwrap_err().code, ReasonCode::COPIES_UNREADABLE);
}

/// Files that sort before the genuine copies must not keep them from being looked at, nor the look endless.
#[tokio::test]
async fn junk_of_huge_sizes_hides_no_copy_and_a_flood_of_it_is_no_good_place() {
    let (data, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let place = Directory::new(copies.path(), data.path());
    let (name, genuine) = (station("S"), checkpoint(9, "a"));
    place.put(&name, &genuine).await.unwrap();
    let junk = |n: u64| std::fs::write(copies.path().join(format!("S-{n:020}.checkpoint")), "plant\njunk\n").unwrap();
    (1_000_000..1_000_040).for_each(junk);
    assert_eq!(place.newest(&wanted(9, 32)).await.unwrap(), notes(&[&genuine]));
    // Another log's are not even read.
    for size in 0..1100 {
        let note = format!("other\n{size}\n");
        place.put(&name, &StoredCheckpoint { size: 2_000_000 + size, note }).await.unwrap();
    }
    assert_eq!(place.newest(&wanted(9, 32)).await.unwrap(), notes(&[&genuine]));
    (1_000_040..1_001_100).for_each(junk);
    let failure = place.newest(&wanted(9, 32)).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::COPIES_UNREADABLE);
    assert!(failure.cause.contains("1024"), "{failure}");
}

/// An empty mount point says nothing against a log that was put back, and neither does a bucket that somebody
/// has emptied.
#[tokio::test]
async fn a_place_without_the_copies_that_were_kept_there_is_not_taken_for_a_new_one() {
    let (data, share) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let place = |data: &Path| Memory::of(data).place(Directory::new(share.path(), data));
    let ours = place(data.path());
    assert!(ours.newest(&wanted(0, 32)).await.unwrap().is_empty(), "a new place");
    let copies = [5, 9].map(|size| checkpoint(size, "a"));
    for copy in &copies {
        ours.put(&station("S"), copy).await.unwrap();
    }
    assert_eq!(ours.newest(&wanted(9, 32)).await.unwrap(), notes(&[&copies[1], &copies[0]]));
    // The newest, and then all of them, are gone: also for a process that has just begun.
    for (left, told) in [(1, "the newest is of 5"), (0, "none")] {
        let newest = std::fs::read_dir(share.path()).unwrap().map(|entry| entry.unwrap().path()).max();
        std::fs::remove_file(newest.unwrap()).unwrap();
        assert_eq!(std::fs::read_dir(share.path()).unwrap().count(), left);
        for place in [&ours, &place(data.path())] {
            let failure = place.newest(&wanted(9, 32)).await.unwrap_err();
            assert_eq!(failure.code, ReasonCode::COPIES_UNREADABLE);
            assert!(failure.cause.contains("9 events") && failure.cause.contains(told), "{failure}");
        }
    }
    // Another station has never seen it otherwise, and what is put there after a ruling makes it good.
    let other = tempfile::tempdir().unwrap();
    assert!(place(other.path()).newest(&wanted(9, 32)).await.unwrap().is_empty());
    let copy = checkpoint(12, "a");
    ours.put(&station("S"), &copy).await.unwrap();
    assert_eq!(ours.newest(&wanted(12, 32)).await.unwrap(), notes(&[&copy]));
    // A memory that can't be read is none to rely on.
    std::fs::write(data.path().join("copies-kept"), "9").unwrap();
    assert_eq!(ours.newest(&wanted(12, 32)).await.unwrap_err().code, ReasonCode::COPIES_UNREADABLE);
}
