//! The PostgreSQL that tests talk to. What it promises is what the tests of a store rest on: if a
//! killed server lost committed rows, or a lost answer were a lost commit, they would show nothing.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use postgres::Client;
use postgres::error::SqlState;

use crate::postgres_server::{Database, Postgres, Proxy};

const DELAY: Duration = Duration::from_millis(5);
const WITHIN: Duration = Duration::from_secs(30);
/// Set in the child process of a test: how it ends.
const CHILD: &str = "LINESEAL_TEST_POSTGRES_CHILD";
const SELF: &str = "postgres_peer::no_server_outlives_its_tests";

#[test]
fn databases_of_two_tests_are_apart() {
    let (one, other) = (Postgres::shared().fresh_database(), Postgres::shared().fresh_database());
    with_account(&one);
    let unknown = other.connect().query("SELECT * FROM account", &[]).unwrap_err();
    assert_eq!(unknown.code(), Some(&SqlState::UNDEFINED_TABLE));
}

#[test]
fn it_is_as_durable_and_as_closed_as_a_plants() {
    let database = Postgres::shared().fresh_database();
    let mut client = database.connect();
    for (setting, value) in
        [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on"), ("server_encoding", "UTF8")]
    {
        let shown: String = client.query_one("SELECT current_setting($1)", &[&setting]).unwrap().get(0);
        assert_eq!(shown, value, "{setting}");
    }
    // Names sort by their bytes, as in SQLite and in the tree's code.
    let collation = "SELECT datcollate::text FROM pg_database WHERE datname = current_database()";
    assert_eq!(client.query_one(collation, &[]).unwrap().get::<_, String>(0), "C");
    let refused = database.config().password("another").connect(postgres::NoTls).err().unwrap();
    assert_eq!(refused.code(), Some(&SqlState::INVALID_PASSWORD));
}

#[test]
fn what_was_committed_outlives_the_server() {
    let server = Postgres::start();
    let database = server.fresh_database();
    let mut client = with_account(&database);
    client.batch_execute("UPDATE account SET balance = 1").unwrap();
    let mut open = client.transaction().unwrap();
    open.batch_execute("UPDATE account SET balance = 2").unwrap();

    server.kill_9();
    assert!(open.batch_execute("SELECT 1").is_err());
    assert!(database.config().connect(postgres::NoTls).is_err());
    server.restart();
    assert!(server.log().contains("was not properly shut down"), "{}", server.log());
    assert_eq!(balance(&database), 1);

    server.stop();
    assert!(database.config().connect(postgres::NoTls).is_err());
    server.restart();
    assert_eq!(balance(&database), 1);
}

#[test]
fn a_delayed_commit_holds_its_locks_meanwhile() {
    let server = Postgres::shared();
    let database = server.fresh_database();
    drop(with_account(&database));
    let proxy = Proxy::before(server);
    // Long enough that the other session asks for the row while the first one's COMMIT is on its way.
    let delay = DELAY * 100;
    proxy.delay_commits(delay);
    let mut slow = database.through(&proxy).connect();
    let mut transaction = slow.transaction().unwrap();
    transaction.batch_execute("UPDATE account SET balance = 1").unwrap();

    let mut watcher = database.connect();
    let asked = Instant::now();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            // Directly: nothing but the lock slows it.
            let mut other = database.connect();
            let row = other.query_one("UPDATE account SET balance = balance + 10 RETURNING balance", &[]).unwrap();
            (row.get::<_, i32>(0), asked.elapsed())
        });
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND wait_event_type = 'Lock'";
        until("the other session waits for the row", || watcher.query_one(waits, &[]).unwrap().get::<_, i64>(0) == 1);
        let committing = Instant::now();
        transaction.commit().unwrap();
        assert!(committing.elapsed() >= delay, "{:?}", committing.elapsed());
        let (seen, after) = other.join().unwrap();
        assert_eq!(seen, 11);
        assert!(after >= delay, "{after:?}");
    });
}

#[test]
fn every_commit_is_delayed_however_it_is_sent_and_nothing_else_is() {
    let server = Postgres::shared();
    let database = server.fresh_database();
    let proxy = Proxy::before(server);
    proxy.delay_commits(DELAY);
    let mut client = with_account(&database.through(&proxy));
    let prepared = client.prepare("commit").unwrap();
    for statement in ["COMMIT", " commit ;", "end", "COMMIT AND NO CHAIN", "prepared"] {
        client.batch_execute("BEGIN; UPDATE account SET balance = balance + 1").unwrap();
        let began = Instant::now();
        if statement == "prepared" {
            client.execute(&prepared, &[]).unwrap();
        } else {
            client.batch_execute(statement).unwrap();
        }
        assert!(began.elapsed() >= DELAY, "{statement}: {:?}", began.elapsed());
    }
    assert_eq!(balance(&database), 5);

    // By a delay that no test survives, one sees that other statements have none.
    proxy.delay_commits(WITHIN * 1000);
    let mut transaction = client.transaction().unwrap();
    transaction.batch_execute("UPDATE account SET balance = 0; SELECT 'COMMIT'; DO $$ BEGIN NULL; END $$").unwrap();
    transaction.execute("UPDATE account SET balance = $1", &[&7]).unwrap();
    transaction.rollback().unwrap();
    assert_eq!(balance(&database), 5);
}

#[test]
fn a_lost_answer_leaves_the_rows_and_a_lost_commit_does_not() {
    let server = Postgres::shared();
    let database = server.fresh_database();
    drop(with_account(&database));
    let proxy = Proxy::before(server);
    let commit = |value: i32| {
        let mut client = database.through(&proxy).connect();
        let mut transaction = client.transaction().unwrap();
        transaction.execute("UPDATE account SET balance = $1", &[&value]).unwrap();
        transaction.commit()
    };
    proxy.lose_next_commit_answer();
    let lost = commit(1).unwrap_err();
    assert!(lost.code().is_none(), "not an answer of the server: {lost:?}");
    assert_eq!(balance(&database), 1);

    proxy.lose_next_commit();
    let lost = commit(2).unwrap_err();
    assert!(lost.code().is_none(), "not an answer of the server: {lost:?}");
    // Takes the row's lock, so it comes after the server has given up the transaction.
    let after = database.connect().query_one("UPDATE account SET balance = balance RETURNING balance", &[]).unwrap();
    assert_eq!(after.get::<_, i32>(0), 1);

    commit(3).unwrap();
    assert_eq!(balance(&database), 3);
}

#[test]
fn a_line_that_was_cut_can_be_mended() {
    let server = Postgres::shared();
    let database = server.fresh_database();
    let proxy = Proxy::before(server);
    let through = database.through(&proxy);
    let mut client = with_account(&through);
    let mut transaction = client.transaction().unwrap();
    transaction.batch_execute("UPDATE account SET balance = 1").unwrap();

    proxy.cut();
    proxy.cut();
    assert!(transaction.commit().is_err());
    assert!(through.config().connect(postgres::NoTls).is_err());
    proxy.mend();
    proxy.mend();
    assert_eq!(balance(&through), 0);
}

/// A killed test runs no destructor, and statics have none.
#[test]
fn no_server_outlives_its_tests() {
    if let Ok(end) = std::env::var(CHILD) {
        return start_and_end(&end);
    }
    for end in ["return", "panic", "kill"] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", SELF, "--nocapture"]).env(CHILD, end).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let started =
            said.lines().find_map(|line| line.split_once("server ")).expect("a server's processes and folder");
        let mut words = started.1.split(' ');
        let folder = Path::new(words.next().unwrap());
        let processes: Vec<&str> = words.collect();
        assert!(processes.len() > 3, "{said}");
        let ended = (output.status.code(), output.status.signal());
        let expected = [("return", (Some(0), None)), ("panic", (Some(101), None)), ("kill", (None, Some(9)))];
        assert!(expected.contains(&(end, ended)), "{end}: {ended:?}");
        let is_postgres = |process: &&str| {
            std::fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim() == "postgres")
        };
        until(end, || !processes.iter().any(is_postgres) && !folder.exists());
    }
}

#[allow(clippy::print_stdout, reason = "the parent reads it")]
fn start_and_end(end: &str) {
    let server = Postgres::shared();
    let mut client = server.fresh_database().connect();
    let family = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity";
    let children: String = client.query_one(family, &[]).unwrap().get(0);
    println!("server {} {} {children}", server.folder().display(), server.pid().unwrap());
    match end {
        "panic" => panic!("as a test does"),
        "kill" => rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap(),
        _ => {}
    }
}

fn with_account(database: &Database) -> Client {
    let mut client = database.connect();
    client.batch_execute("CREATE TABLE account (balance int NOT NULL); INSERT INTO account VALUES (0)").unwrap();
    client
}

fn balance(database: &Database) -> i32 {
    database.connect().query_one("SELECT balance FROM account", &[]).unwrap().get(0)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let by = Instant::now() + WITHIN;
    while !is_so() {
        assert!(Instant::now() < by, "not within {WITHIN:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
