//! The log's disk, when it fails below a station that runs, or was read-only from the first.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use lineseal::domain::ReasonCode;
use lineseal::domain::profile::KeyKind;
use lineseal::runner::view::Health;

use crate::bench::Bench;
use crate::custody::refused;
use crate::log;
use crate::office::Office;
use crate::peers::Cloud;
use crate::program::Program;
use crate::station::{Station, assert_outcome};

/// An ext4 of its own in a file, gone with the value.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn mounted() -> Disk {
        let disk = Disk { folder: tempfile::tempdir().unwrap() };
        let image = disk.folder.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        std::fs::create_dir(disk.path()).unwrap();
        done(Command::new("mkfs.ext4").arg("-q").arg(&image));
        // Root and loop devices: `tests/run.sh` leaves these tests out where there are none, and says so.
        done(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(disk.path()));
        disk
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("disk")
    }

    /// As the system does at the first error of a disk.
    fn abort(&self) {
        done(Command::new("mount").args(["-o", "remount,abort"]).arg(self.path()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process may have a file open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn done(command: &mut Command) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
    assert!(command.env("PATH", path).status().unwrap().success(), "{command:?}");
}

/// No board is taken, nothing is shown as PASS, and the station ends when it is told to.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_becomes_read_only_below_a_station_is_said_and_waited_for() {
    let disk = Disk::mounted();
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chips = [(); 2].map(|()| bench.chip(KeyKind::EcP256));
    let data_dir = disk.path().join("data");
    std::fs::create_dir(&data_dir).unwrap();
    private(&data_dir);
    std::fs::write(data_dir.join("PRACTICE"), "").unwrap();
    let credentials = SharedCredentialsProvider::new(bench.cloud.credentials.clone());
    let mut station = Station::start_at(Arc::new(bench.config()), data_dir, credentials, |_| {}).await;
    bench.plug(1, "A", &chips[0]);
    assert_outcome(&station.unit().await, "PASS");
    bench.unplug(1);
    station.until_gone(&[1]).await;
    disk.abort();
    bench.plug(1, "B", &chips[1]);
    let read_only = ReasonCode::STORE_READ_ONLY;
    let said = station
        .until("L-503", |snapshot| {
            matches!(&snapshot.log, Health::Bad(failure) if failure.code == read_only) && refused(snapshot, read_only)
        })
        .await;
    assert!(!matches!(said.log, Health::Good));
    let asked = std::time::Instant::now();
    let log = station.log();
    assert_eq!(station.end().await.unwrap_err().code, read_only);
    assert!(asked.elapsed() < std::time::Duration::from_secs(20), "{:?}", asked.elapsed());
    assert_eq!(log::all(&log, "claimed").len(), 1);
}

/// What an auditor was given may not be written to, and is verified where it lies.
#[test]
fn a_log_on_a_disk_that_is_read_only_is_verified_there() {
    let disk = Disk::mounted();
    let office = Office::with_administrator();
    let data_dir = disk.path().join("an auditor's data?");
    std::fs::create_dir(&data_dir).unwrap();
    for file in std::fs::read_dir(office.data()).unwrap().map(|file| file.unwrap()) {
        std::fs::copy(file.path(), data_dir.join(file.file_name())).unwrap();
    }
    assert!(!data_dir.join("lineseal.db-wal").exists(), "closed as it should be");
    done(Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()));
    let audit = |args: &[&str]| {
        let args = [&["audit"], args].concat();
        Program::new(args).config(&office.config).data_dir(&data_dir).start().wait().expect(0)
    };
    let verified = audit(&["verify"]);
    assert!(verified.out.contains("events"), "{}", verified.out);
    audit(&["list", "--events"]);
}

fn private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
}
