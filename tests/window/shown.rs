//! The process with the window. Its first scene comes by environment, further scenes by standard
//! input, a line each; what the window asks for goes out by standard output, a line each.

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use lineseal::adapters::printer::Pictures;
use lineseal::config::{Look, Scanner};
use lineseal::domain::label::Dots;
use lineseal::domain::{ReasonCode, Template};
use lineseal::gui::{Bridge, PracticeBridge, WindowOptions};
use lineseal::ports::LabelPictures as _;
use lineseal::provisioning::label::render_label;
use lineseal::runner::view::{Command, DeskState, Snapshot};
use tokio::sync::{mpsc, watch};

use crate::scenes;

/// `LANGUAGE WIDTH HEIGHT QUEUE SCENE…`; QUEUE is how many commands wait before one is refused (0: all
/// are read at once).
pub const SCENE: &str = "LINESEAL_WINDOW_SCENE";

pub fn run(script: &str) -> ExitCode {
    let mut words = script.splitn(5, ' ');
    let mut word = || words.next().unwrap_or_else(|| panic!("a word is missing in {script:?}"));
    let language = word().parse().expect("a language");
    let size = [word().parse().expect("a width"), word().parse().expect("a height")];
    let queue: usize = word().parse().expect("a queue's length");
    let first = scene(word());

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
    let (snapshots, receiver) = watch::channel(Arc::new(first));
    let (commands, mut asked) = mpsc::channel(queue.max(1));
    let (views, practice_views) = watch::channel(scenes::practice_view(8));
    let (practice_commands, mut practice_asked) = mpsc::channel(8);
    if queue == 0 {
        runtime.spawn(async move {
            while let Some(command) = asked.recv().await {
                // Said by the clock, and not by what a test does.
                if command != Command::Here {
                    say(&format!("{command:?}"));
                }
            }
        });
    } else {
        // Nobody reads: the queue fills up.
        std::mem::forget(asked);
    }
    runtime.spawn(async move {
        while let Some(command) = practice_asked.recv().await {
            say(&format!("Practice {command:?}"));
        }
    });
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match line.as_str() {
                "gone" => break,
                line => {
                    snapshots.send_replace(Arc::new(scene(line)));
                }
            }
        }
        drop(snapshots);
        drop(views);
    });
    let bridge = Bridge::new(runtime.handle().clone(), receiver, commands);
    let practice =
        Some(PracticeBridge { views: practice_views, commands: practice_commands, tour: script.contains(" tour") });
    match lineseal::gui::open(
        bridge,
        WindowOptions {
            language,
            size: Some(size),
            theme: Look::Light,
            chosen: None,
            scanner: Scanner::default(),
            practice,
        },
    ) {
        Ok(()) => {
            say("closed");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
            ExitCode::FAILURE
        }
    }
}

/// `busy 8`, `busy 8 practice`, `pair 2`, …
fn scene(text: &str) -> Snapshot {
    let mut words = text.split(' ');
    let name = words.next().unwrap_or_default();
    let lanes = words.next().and_then(|lanes| lanes.parse().ok()).unwrap_or(8);
    let practice = words.next() == Some("practice");
    match name {
        "busy" => scenes::busy(lanes, practice),
        "idle" => scenes::idle(lanes, practice),
        "pair" => scenes::pair(practice),
        "troubled" => scenes::troubled(lanes, practice),
        // `told 1`: the first sixteen reasons, a lane each.
        "told" => scenes::told(ReasonCode::ALL.chunks(16).nth(usize::from(lanes) - 1).expect("so many reasons")),
        "unopened" => scenes::unopened(lanes),
        "first" => scenes::first_start(),
        "nobody" => scenes::at_desk(lanes, DeskState::Nobody { required: true }),
        "locked" => scenes::at_desk(lanes, DeskState::Locked { name: "K. Tanaka (T-014)".into(), required: true }),
        "badge" => scenes::at_desk(lanes, DeskState::BadgeShown { name: "K. Tanaka (T-014)".into() }),
        "people" => scenes::administration(lanes),
        "labelled" => {
            let mut snapshot = scenes::labelled_pair();
            if let Some(label) = &mut snapshot.label {
                label.picture = Arc::new(shipped_label());
            }
            snapshot
        }
        "settings" => scenes::settings(lanes, |_| {}),
        "taught" => scenes::settings(lanes, scenes::taught),
        "targets" => scenes::settings(lanes, scenes::looked_at),
        "unknown" => scenes::unknown(lanes),
        _ => panic!("there is no scene {text:?}"),
    }
}

/// The label as it is shipped, drawn as the station draws it.
fn shipped_label() -> Dots {
    let template = Template::parse(include_str!("../../assets/labels/unit.zpl")).expect("a template");
    let values = [
        ("serial", "GW4-0031181"),
        ("product", "gateway-g4"),
        ("thing", "gw-GW4-0031181"),
        ("fingerprint", "9f2b6c1de07a43d58b19f0c2a6e7354d81bb02c96f5ae4d7103c8e92b64f7a5d"),
        ("verdict", "PASS"),
        ("time", "2026-11-29 14:33"),
        ("practice", ""),
    ];
    let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Pictures.dots(&render_label(&template, &values).expect("a label")).expect("its picture")
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The reader may be gone already; then nobody wants to know.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
