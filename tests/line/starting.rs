//! The station without a window, where its start is refused.

use lineseal::adapters::sqlite;

use crate::office::Office;

#[test]
fn a_log_that_was_put_back_ends_the_station_without_a_window_and_gets_no_event() {
    let office = Office::unstaffed();
    let database = office.data().join(sqlite::FILE);
    let mut backup = Vec::new();
    // The mark moves at a start: the third one marks what the second wrote.
    for _ in 0..3 {
        let running = office.lineseal(&["run"]).start();
        running.until_said("the station is ready");
        running.interrupt().expect(0);
        backup.push(std::fs::read(&database).unwrap());
    }
    std::fs::write(&database, &backup[0]).unwrap();
    let before = office.events();
    for _ in 0..2 {
        let ended = office.lineseal(&["run"]).start().wait().expect(2);
        assert!(ended.err.contains("L-521: Nothing starts here. Call the supervisor"), "{}", ended.err);
        assert!(!ended.err.contains("is ready"), "{}", ended.err);
        assert_eq!(office.events(), before);
    }
}

#[test]
fn a_copy_place_that_is_away_ends_it_too_and_once_it_is_back_it_starts() {
    let office = Office::unstaffed();
    let share = office.dir.path().join("share");
    office.configure(&format!("[log]\ncopies = [{share:?}]"));
    let ended = office.lineseal(&["run"]).start().wait().expect(2);
    assert!(ended.err.contains("L-522") && !ended.err.contains("is ready"), "{}", ended.err);
    assert_eq!(office.events(), [""; 0]);
    std::fs::create_dir(&share).unwrap();
    let running = office.lineseal(&["run"]).start();
    running.until_said("the station is ready");
    let ended = running.interrupt().expect(0);
    let same_disk = "a rollback could not be proven: every place for copies of the log is on the disk";
    assert!(ended.err.contains(same_disk), "{}", ended.err);
    let check = office.lineseal(&["config", "check"]).start().wait().expect(0).err;
    assert!(check.contains(same_disk), "{check}");
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let office = Office::unstaffed();
    office.configure(&format!("[log]\ncopies = [{share:?}, {:?}]", elsewhere.path()));
    let check = office.lineseal(&["config", "check"]).start().wait().expect(0).err;
    assert!(!check.contains("a rollback could not be proven"), "{check}");
}

#[test]
fn without_a_place_for_copies_it_says_what_could_not_be_proven() {
    let office = Office::unstaffed();
    let running = office.lineseal(&["run"]).start();
    running.until_said("the station is ready");
    assert!(running.interrupt().expect(0).err.contains("a rollback could not be proven: no place for copies"));
    let check =
        |language: &str| office.lineseal(&["config", "check", "--language", language]).start().wait().expect(0).err;
    assert!(check("en").contains("a rollback could not be proven: no place for copies"));
    assert!(check("ja").contains("記録の巻き戻しを証明できません"));
}
