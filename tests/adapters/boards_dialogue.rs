use std::path::Path;
use std::time::{Duration, Instant};

use lineseal::adapters::boards::{SerialDialogue, StationPorts};
use lineseal::config::Detection;
use lineseal::domain::profile::{Dialogue, Prepare};
use lineseal::domain::{CommandLine, Device, Failure, ReasonCode, Template, Variables};
use lineseal::ports::{Answer, BoardDialogue, BoardSource};
use lineseal::practice::board::{Behaviour, PtyBoard};

/// A board in a folder of its own, and the station's view of it.
struct Bench {
    _dir: tempfile::TempDir,
    board: PtyBoard,
    device: Device,
}

fn bench(serial: &str, behaviour: Behaviour) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let board = PtyBoard::plug(dir.path(), "lane1", serial, behaviour).unwrap();
    Bench { device: look(dir.path()), board, _dir: dir }
}

fn look(ports: &Path) -> Device {
    let links = vec![ports.to_path_buf()];
    let detection = Detection { links, serial_ports: false, usb: false, debounce: Duration::ZERO };
    StationPorts::new(&detection).present().unwrap().remove(0)
}

fn question(expect: &str) -> Dialogue {
    Dialogue {
        baud: 115_200,
        send: Some(Template::parse("{word}?\n").unwrap()),
        expect: regex::bytes::Regex::new(expect).unwrap(),
        timeout: Duration::from_secs(5),
        retries: 0,
    }
}

async fn ask(device: &Device, dialogue: &Dialogue) -> Result<Answer, Failure> {
    SerialDialogue.ask(device, dialogue, &Variables::from([("word".into(), "id".into())])).await
}

const SERIAL: &str = r"SN=(?P<serial>[^\n]+)\n";

#[tokio::test]
async fn the_answers_named_groups_come_back() {
    let bench = bench("BRD-0001", Behaviour::Normal);
    let answer = ask(&bench.device, &question(r"(?P<key>\w+)=(?P<serial>[^\n]+)\n(?P<rest>x)?")).await.unwrap();
    // A group that took no part in the match is no variable.
    assert_eq!(answer, Variables::from([("key".into(), "SN".into()), ("serial".into(), "BRD-0001".into())]));
}

#[tokio::test]
async fn the_port_is_closed_again_and_can_be_asked_again() {
    let bench = bench("1", Behaviour::Normal);
    for _ in 0..3 {
        assert_eq!(ask(&bench.device, &question(SERIAL)).await.unwrap()["serial"], "1");
    }
    serialport::new(bench.device.node.as_deref().unwrap(), 9600).open().expect("nobody holds it");
}

#[tokio::test]
async fn an_expression_that_half_an_answer_satisfies_still_gets_the_whole() {
    let serial = "S".repeat(3000);
    let bench = bench(&serial, Behaviour::Normal);
    assert_eq!(ask(&bench.device, &question(r"SN=(?P<serial>\w+)")).await.unwrap()["serial"], serial);
}

#[tokio::test]
async fn a_silent_board_is_b102_after_all_attempts() {
    let bench = bench("1", Behaviour::Silent);
    let dialogue = Dialogue { timeout: Duration::from_millis(200), retries: 2, ..question(SERIAL) };
    let start = Instant::now();
    let failure = ask(&bench.device, &dialogue).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::BOARD_SILENT);
    assert_eq!(failure.args["port"], "lane1");
    assert_eq!(failure.cause, "no byte within 200 ms, 3 attempts");
    assert!(start.elapsed() >= Duration::from_millis(600));
}

#[tokio::test]
async fn a_board_that_wakes_up_late_is_found_by_a_retry() {
    let bench = bench("7", Behaviour::Delayed(Duration::from_millis(700)));
    let dialogue = Dialogue { timeout: Duration::from_millis(500), retries: 5, ..question(SERIAL) };
    assert_eq!(ask(&bench.device, &dialogue).await.unwrap()["serial"], "7");
}

#[tokio::test]
async fn an_answer_that_does_not_match_is_b103_and_is_shown() {
    let bench = bench("1", Behaviour::Normal);
    let dialogue = Dialogue { timeout: Duration::from_millis(200), ..question("FW=(?P<serial>.*)\n") };
    let failure = ask(&bench.device, &dialogue).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::BOARD_ANSWER);
    assert!(failure.cause.ends_with(r#"in "SN=1\n""#), "{}", failure.cause);
}

#[tokio::test]
async fn a_megabyte_of_garbage_is_b103_soon_and_in_little_memory() {
    let bench = bench("1", Behaviour::Garbage(1 << 20));
    let dialogue = Dialogue { timeout: Duration::from_secs(60), retries: 3, ..question(SERIAL) };
    let start = Instant::now();
    let failure = ask(&bench.device, &dialogue).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::BOARD_ANSWER);
    assert!(failure.cause.starts_with("more than 65536 bytes"), "{}", failure.cause);
    assert!(failure.cause.len() < 500);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_was_left_from_before_is_not_taken_for_the_answer() {
    let bench = bench("new", Behaviour::Silent);
    {
        let mut port = serialport::new(bench.device.node.as_deref().unwrap(), 9600).open().unwrap();
        bench.board.set_behaviour(Behaviour::Garbage(3000));
        std::io::Write::write_all(&mut port, b"id?\n").unwrap();
        std::thread::sleep(Duration::from_millis(300));
    }
    bench.board.set_behaviour(Behaviour::Normal);
    assert_eq!(ask(&bench.device, &question(&format!("^{SERIAL}"))).await.unwrap()["serial"], "new");
}

#[tokio::test]
async fn a_group_that_is_not_utf8_is_b103() {
    let bench = bench("1", Behaviour::Garbage(100));
    let failure = ask(&bench.device, &question(r"(?-u)(?P<serial>\xA5\x00)")).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::BOARD_ANSWER);
    assert!(failure.cause.contains("not UTF-8"), "{}", failure.cause);
}

#[tokio::test]
async fn a_board_that_vanishes_in_the_middle_of_its_answer_is_b108() {
    let bench = bench("BRD-0001", Behaviour::VanishMidAnswer);
    let start = Instant::now();
    let failure = ask(&bench.device, &Dialogue { retries: 9, ..question(SERIAL) }).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::PORT_FAILED);
    assert!(start.elapsed() < Duration::from_secs(4), "the rest was waited for");
}

#[tokio::test]
async fn a_port_that_has_gone_and_a_board_without_one_are_b108() {
    let mut bench = bench("1", Behaviour::Normal);
    bench.board.unplug();
    assert_eq!(ask(&bench.device, &question(SERIAL)).await.unwrap_err().code, ReasonCode::PORT_FAILED);
    bench.device.node = None;
    assert_eq!(ask(&bench.device, &question(SERIAL)).await.unwrap_err().code, ReasonCode::PORT_FAILED);
}

#[tokio::test]
async fn a_port_in_other_hands_is_b107() {
    let bench = bench("1", Behaviour::Normal);
    let _other = serialport::new(bench.device.node.as_deref().unwrap(), 9600).open().unwrap();
    let failure = ask(&bench.device, &question(SERIAL)).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::PORT_DENIED);
}

/// Between fork and exec a child has a copy of every port that is open in any lane, and with it the port's lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_was_just_closed_opens_again_while_processes_are_started() {
    let bench = bench("1", Behaviour::Normal);
    let (end, dialogue) = (Instant::now() + Duration::from_secs(3), question(SERIAL));
    let starting: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                while Instant::now() < end {
                    std::process::Command::new("sh").args(["-c", ":"]).status().unwrap();
                }
            })
        })
        .collect();
    let mut asked = 0;
    while Instant::now() < end {
        let answer = ask(&bench.device, &dialogue).await;
        asked += 1;
        assert_eq!(answer.unwrap_or_else(|failure| panic!("question {asked}: {failure}"))["serial"], "1");
    }
    starting.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(asked > 10, "{asked}");
}

#[tokio::test]
async fn a_port_that_is_let_go_of_in_a_moment_is_waited_for() {
    let bench = bench("1", Behaviour::Normal);
    let other = serialport::new(bench.device.node.as_deref().unwrap(), 9600).open().unwrap();
    let dialogue = question(SERIAL);
    let (answer, ()) = tokio::join!(ask(&bench.device, &dialogue), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(other);
    });
    assert_eq!(answer.unwrap()["serial"], "1");
}

#[tokio::test]
async fn a_dialogue_that_is_given_up_lets_go_of_the_port() {
    let bench = bench("1", Behaviour::Silent);
    let dialogue = Dialogue { timeout: Duration::from_secs(60), ..question(SERIAL) };
    let given_up = tokio::time::timeout(Duration::from_millis(300), ask(&bench.device, &dialogue)).await;
    assert!(given_up.is_err());
    bench.board.set_behaviour(Behaviour::Normal);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(ask(&bench.device, &question(SERIAL)).await.unwrap()["serial"], "1");
}

#[tokio::test]
async fn a_variable_that_does_not_exist_is_found_before_the_port_is_opened() {
    let mut bench = bench("1", Behaviour::Normal);
    bench.device.node = Some("/dev/does-not-exist".into());
    let failure = SerialDialogue.ask(&bench.device, &question(SERIAL), &Variables::new()).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CONFIG_VALUE);
}

#[tokio::test]
async fn sixteen_boards_answer_at_once() {
    let benches: Vec<_> =
        (1..=16).map(|n| bench(&format!("B{n}"), Behaviour::Delayed(Duration::from_millis(500)))).collect();
    let start = Instant::now();
    let mut asked = tokio::task::JoinSet::new();
    for (n, bench) in benches.iter().enumerate() {
        let device = bench.device.clone();
        asked.spawn(async move { (n, ask(&device, &question(SERIAL)).await) });
    }
    while let Some(answer) = asked.join_next().await {
        let (n, answer) = answer.unwrap();
        assert_eq!(answer.unwrap()["serial"], format!("B{}", n + 1));
    }
    assert!(start.elapsed() < Duration::from_secs(4), "one after the other: {:?}", start.elapsed());
}

#[tokio::test]
async fn prepare_by_dialogue_wakes_or_says_why_not_as_b109() {
    let bench = bench("1", Behaviour::Normal);
    let variables = Variables::from([("word".into(), "id".into())]);
    let prepare = |dialogue: Dialogue| Prepare::Dialogue(Dialogue { timeout: Duration::from_millis(500), ..dialogue });
    SerialDialogue.prepare(&bench.device, &prepare(question(SERIAL)), &variables).await.unwrap();
    let failure = SerialDialogue.prepare(&bench.device, &prepare(question("OK")), &variables).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::BOARD_PREPARE);
    assert!(failure.cause.starts_with("B-103: no match"), "{}", failure.cause);
}

#[tokio::test]
async fn prepare_by_command_gets_the_variables_and_says_what_the_command_said() {
    let bench = bench("1", Behaviour::Normal);
    let variables = Variables::from([("port".into(), "/dev/pts/9".into())]);
    let command = |script: &str, timeout| Prepare::Command {
        command: CommandLine {
            program: Template::parse("/bin/sh").unwrap(),
            args: ["-c", script, "wake", "{port}"].map(|arg| Template::parse(arg).unwrap()).into(),
        },
        stdin: None,
        timeout,
    };
    let fine = command("test \"$1\" = /dev/pts/9", Duration::from_secs(20));
    SerialDialogue.prepare(&bench.device, &fine, &variables).await.unwrap();
    let bad = command("echo no chip on $1 >&2; exit 7", Duration::from_secs(20));
    let failure = SerialDialogue.prepare(&bench.device, &bad, &variables).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::BOARD_PREPARE);
    assert_eq!(failure.cause, "/bin/sh ended with status 7; stderr: no chip on /dev/pts/9");

    // A value that could be more than one word is none, and nothing is started.
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("started");
    let never = command(&format!("touch {}", mark.display()), Duration::from_secs(20));
    for value in ["-oProxyCommand=reboot", "/dev/pts/9;reboot", "/dev/$(reboot)", ""] {
        let variables = Variables::from([("port".into(), value.into())]);
        let failure = SerialDialogue.prepare(&bench.device, &never, &variables).await.unwrap_err();
        assert_eq!(failure.code, ReasonCode::CONFIG_VALUE, "{value:?}");
    }
    assert!(!mark.exists());
}

/// A console that echoes what it is sent, and then says no.
#[tokio::test]
async fn a_private_key_is_sent_whole_and_its_echo_is_no_part_of_any_cause() {
    use std::io::{Read as _, Write as _};
    let (mut console, slave) = serialport::TTYPort::pair().unwrap();
    let bench = bench("1", Behaviour::Normal);
    let node = serialport::SerialPort::name(&slave).unwrap();
    let device = Device { node: Some(node), ..bench.device.clone() };
    let key = format!("-----BEGIN X-----\n{}\n-----END X-----\n", "s3cret".repeat(200));
    let whole = key.clone();
    let echo = std::thread::spawn(move || {
        let mut heard = Vec::new();
        let mut chunk = [0; 512];
        while !heard.ends_with(b".\n") {
            match console.read(&mut chunk) {
                Ok(count) => heard.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {}
                Err(error) => panic!("{error}"),
            }
        }
        console.write_all(&heard[..600]).unwrap();
        console.write_all(b"\nERR\n").unwrap();
        console.flush().unwrap();
        std::thread::sleep(Duration::from_secs(2));
        String::from_utf8(heard).unwrap()
    });
    let dialogue = Dialogue {
        send: Some(Template::parse("{private_key}.\n").unwrap()),
        timeout: Duration::from_millis(1_500),
        ..question("OK\n")
    };
    let delivered = SerialDialogue.deliver(&device, &Prepare::Dialogue(dialogue), &Variables::new(), &key.into()).await;
    let failure = delivered.unwrap_err();
    assert_eq!(
        (failure.code, failure.cause.as_str()),
        (ReasonCode::BOARD_PREPARE, "B-103: another answer than is expected, which is not kept",)
    );
    assert_eq!(echo.join().unwrap(), format!("{whole}.\n"));
    drop(slave);
}
