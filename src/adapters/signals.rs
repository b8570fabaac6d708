//! Sounds and a signal tower by commands of the plant's own.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::config;
use crate::domain::{Failure, ReasonCode, Verdict};
use crate::ports::{Ended, Light, Signals, Tower};

/// A sound that takes longer is none; the command and what it started are ended then.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a command sees of the station's environment: how to reach a sound server or a display, and no secret.
const ENVIRONMENT: [&str; 13] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "PULSE_SERVER",
    "PIPEWIRE_REMOTE",
    "DISPLAY",
    "WAYLAND_DISPLAY",
];

pub struct CommandSignals {
    commands: config::Signals,
}

impl CommandSignals {
    pub fn new(commands: config::Signals) -> Self {
        Self { commands }
    }
}

#[async_trait::async_trait]
impl Signals for CommandSignals {
    async fn ended(&self, ended: &Ended) -> Result<(), Failure> {
        let commands = &self.commands;
        let words = match ended.verdict {
            Verdict::Pass => &commands.pass,
            Verdict::Fail => &commands.fail,
            Verdict::Error => &commands.error,
            Verdict::Aborted => &commands.aborted,
            Verdict::Held => &commands.held,
        };
        let Some(words) = words else { return Ok(()) };
        let told = json!({
            "event": "ended",
            "station": ended.station.as_str(),
            "lane": ended.lane.get(),
            "serial": ended.serial.as_ref().map(|serial| serial.as_str()),
            "verdict": ended.verdict.as_str(),
            "code": ended.code.map(ReasonCode::as_str),
        });
        run(words, None, &told).await
    }

    async fn tower(&self, tower: &Tower) -> Result<(), Failure> {
        let Some(words) = &self.commands.tower else { return Ok(()) };
        let lanes: Vec<Value> = tower
            .lanes
            .iter()
            .map(|(lane, verdict)| json!({ "lane": lane.get(), "verdict": verdict.as_str() }))
            .collect();
        let light = word(tower.light);
        let told = json!({ "event": "tower", "station": tower.station.as_str(), "light": light, "lanes": lanes });
        run(words, Some(light), &told).await
    }
}

fn word(light: Light) -> &'static str {
    match light {
        Light::Fail => "fail",
        Light::Error => "error",
        Light::Running => "running",
        Light::Paused => "paused",
        Light::Ready => "ready",
        Light::Off => "off",
    }
}

/// Runs it with `told` on its standard input, and waits until it is over.
async fn run(words: &[String], last: Option<&str>, told: &Value) -> Result<(), Failure> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let failed = |cause: String| Failure::new(ReasonCode::SIGNAL_FAILED, format!("{program}: {cause}"));
    let environment = ENVIRONMENT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .args(arguments)
        .args(last)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let over = async {
        if let Some(mut input) = child.stdin.take() {
            // Less than a pipe holds; whoever does not read it is no worse for that.
            let _ = input.write_all(format!("{told}\n").as_bytes()).await;
        }
        child.wait().await
    };
    match tokio::time::timeout(PATIENCE, over).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(failed(status.to_string())),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => {
            if let Some(group) = group {
                let _ = kill_process_group(group, Signal::KILL);
            }
            Err(failed(format!("not done after {} s", PATIENCE.as_secs())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn ended(verdict: Verdict) -> Ended {
        Ended {
            station: "L3-ST2".parse().unwrap(),
            lane: 3.try_into().unwrap(),
            serial: "GW4-0031187".parse().ok(),
            verdict,
            code: (verdict != Verdict::Pass).then_some(ReasonCode::CERTIFICATE_BOUND),
        }
    }

    fn shell(script: String) -> Option<config::Words> {
        Some(vec!["sh".into(), "-c".into(), script, "sh".into()])
    }

    #[tokio::test]
    async fn a_command_is_told_what_ended_and_the_tower_what_to_show() {
        let folder = tempfile::tempdir().unwrap();
        let (fail, tower) = (folder.path().join("fail"), folder.path().join("tower"));
        let signals = CommandSignals::new(config::Signals {
            fail: shell(format!("cat >{}", fail.display())),
            tower: shell(format!("echo $1 >{0}; cat >>{0}", tower.display())),
            ..config::Signals::default()
        });
        signals.ended(&ended(Verdict::Fail)).await.unwrap();
        // There is no command for it.
        signals.ended(&ended(Verdict::Pass)).await.unwrap();
        let told: Value = serde_json::from_str(&std::fs::read_to_string(fail).unwrap()).unwrap();
        let expected = json!({ "event": "ended", "station": "L3-ST2", "lane": 3, "serial": "GW4-0031187", "verdict": "FAIL", "code": "S-105" });
        assert_eq!(told, expected);
        let lanes = vec![(3.try_into().unwrap(), Verdict::Fail)];
        signals.tower(&Tower { station: "L3-ST2".parse().unwrap(), light: Light::Fail, lanes }).await.unwrap();
        let told = std::fs::read_to_string(tower).unwrap();
        let (argument, told) = told.split_once('\n').unwrap();
        assert_eq!(argument, "fail");
        let expected = json!({ "event": "tower", "station": "L3-ST2", "light": "fail", "lanes": [{ "lane": 3, "verdict": "FAIL" }] });
        assert_eq!(serde_json::from_str::<Value>(told).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_command_that_is_missing_fails_or_hangs_is_a_value_and_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("left");
        let hang = format!("(sleep 30; touch {}) & sleep 30", left.display());
        let signals = CommandSignals::new(config::Signals {
            pass: Some(vec!["/nowhere/bell".into()]),
            fail: shell("exit 3".into()),
            held: shell(hang),
            ..config::Signals::default()
        });
        let cause = async |verdict| {
            let failure = signals.ended(&ended(verdict)).await.unwrap_err();
            assert_eq!(failure.code, ReasonCode::SIGNAL_FAILED);
            failure.cause
        };
        assert!(cause(Verdict::Pass).await.starts_with("/nowhere/bell: No such file"));
        assert_eq!(cause(Verdict::Fail).await, "sh: exit status: 3");
        let began = Instant::now();
        assert_eq!(cause(Verdict::Held).await, "sh: not done after 5 s");
        assert!(began.elapsed() < PATIENCE * 2);
    }

    #[tokio::test]
    async fn a_command_sees_no_secret_of_the_station_s() {
        let folder = tempfile::tempdir().unwrap();
        let seen = folder.path().join("seen");
        let signals = CommandSignals::new(config::Signals {
            pass: shell(format!("env >{}", seen.display())),
            ..config::Signals::default()
        });
        signals.ended(&ended(Verdict::Pass)).await.unwrap();
        let seen = std::fs::read_to_string(seen).unwrap();
        let names = seen.lines().filter_map(|line| Some(line.split_once('=')?.0));
        // `sh` itself adds PWD and the like.
        let strange: Vec<_> = names
            .filter(|name| !ENVIRONMENT.contains(name) && !["PWD", "_", "SHLVL", "OLDPWD"].contains(name))
            .collect();
        assert_eq!(strange, Vec::<&str>::new());
    }

    /// `assets/packaging/signal.sh` with a player that keeps what it is given.
    fn played(verdict: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let (player, played) = (folder.path().join("pw-play"), folder.path().join("played"));
        std::fs::write(&player, format!("#!/bin/sh\ncat \"$1\" >{}\n", played.display())).unwrap();
        std::fs::set_permissions(&player, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let status = std::process::Command::new("sh").args([SCRIPT, verdict]).env("PATH", path).status().unwrap();
        assert!(status.success(), "{verdict}: {status}");
        std::fs::read(played).unwrap()
    }

    const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/packaging/signal.sh");

    /// Loud and silent stretches of a WAV file of 8000 samples a second, each in hundredths of a second.
    fn rhythm(wav: &[u8]) -> Vec<usize> {
        assert_eq!(
            (&wav[..4], &wav[8..16], wav[24..28].to_vec()),
            (&b"RIFF"[..], &b"WAVEfmt "[..], vec![0x40, 0x1F, 0, 0])
        );
        let loud: Vec<bool> =
            wav[44..].chunks(80).map(|part| part.iter().any(|sample| sample.abs_diff(128) > 50)).collect();
        loud.chunk_by(|a, b| a == b).map(<[bool]>::len).collect()
    }

    #[test]
    fn the_script_that_is_shipped_plays_each_verdict_in_a_rhythm_of_its_own() {
        let rhythms = ["pass", "fail", "error", "aborted", "held"].map(|verdict| rhythm(&played(verdict)));
        assert_eq!(rhythms[0], [9, 6, 9], "PASS: two short");
        assert_eq!(rhythms[1], [50, 15, 50, 15, 50], "FAIL: three long");
        for (at, one) in rhythms.iter().enumerate() {
            assert!(rhythms[..at].iter().all(|other| other != one), "{one:?} is heard twice");
        }
    }

    #[tokio::test]
    async fn the_script_that_is_shipped_switches_a_relay_board() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("relays");
        let words = ["sh", SCRIPT, "tower", &device.to_string_lossy()].map(str::to_owned).to_vec();
        let signals = CommandSignals::new(config::Signals { tower: Some(words), ..config::Signals::default() });
        let on = [0xA0, 1, 1, 0xA2];
        for (light, red) in [(Light::Fail, on), (Light::Off, [0xA0, 1, 0, 0xA1])] {
            signals.tower(&Tower { station: "A".parse().unwrap(), light, lanes: Vec::new() }).await.unwrap();
            let sent = std::fs::read(&device).unwrap();
            assert_eq!((&sent[..4], sent.len()), (&red[..], 12), "{light:?}");
        }
    }
}
