//! A screen of its own for each test, and a person before it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use crate::shown;

/// No single wait is longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// An X server without a window manager, ended when dropped.
pub struct Screen {
    server: Child,
    display: String,
    pub width: u32,
    pub height: u32,
}

impl Screen {
    pub fn new(width: u32, height: u32) -> Screen {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-noreset", "-nolisten", "tcp", "-screen", "0", &format!("{width}x{height}x24")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is installed (package xvfb)");
        let mut number = String::new();
        let mut out = BufReader::new(server.stdout.take().expect("piped"));
        out.read_line(&mut number).expect("Xvfb tells its display");
        assert!(!number.trim().is_empty(), "Xvfb did not start");
        Screen { server, display: format!(":{}", number.trim()), width, height }
    }

    /// Opens the window with `scene` over the whole screen, and waits until it is drawn.
    pub fn open(&self, language: &str, scene: &str) -> Window<'_> {
        self.open_with(language, scene, 0, 1.0)
    }

    /// As [`Screen::open`], on a desktop that enlarges everything so much.
    pub fn open_enlarged(&self, language: &str, scene: &str, scale: f32) -> Window<'_> {
        self.open_with(language, scene, 0, scale)
    }

    /// As [`Screen::open`]; the runner's queue takes `queue` commands and none is ever read.
    pub fn open_with_queue(&self, language: &str, scene: &str, queue: usize) -> Window<'_> {
        self.open_with(language, scene, queue, 1.0)
    }

    fn open_with(&self, language: &str, scene: &str, queue: usize, scale: f32) -> Window<'_> {
        let points = |pixels: u32| pixels as f32 / scale;
        let script = format!("{language} {} {} {queue} {scene}", points(self.width), points(self.height));
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .env(shown::SCENE, script)
            .env("DISPLAY", &self.display)
            .env_remove("WAYLAND_DISPLAY")
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("WINIT_X11_SCALE_FACTOR", scale.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let (sender, said) = sync_channel(64);
        let out = BufReader::new(process.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = process.stdin.take().expect("piped");
        let mut window = Window { screen: self, process, input, said, id: String::new(), last: None };
        let began = Instant::now();
        while window.id.is_empty() {
            assert!(began.elapsed() < PATIENCE, "no window came up");
            assert!(window.process.try_wait().expect("its state").is_none(), "the window's process ended");
            let found = self.run("xdotool", &["search", "--onlyvisible", "--name", "^Lineseal"]);
            window.id = found.lines().next().unwrap_or_default().to_owned();
            std::thread::sleep(Duration::from_millis(100));
        }
        self.run("xdotool", &["windowfocus", "--sync", &window.id]);
        window.settle();
        window
    }

    /// A program that will draw on this screen.
    pub fn program(&self, path: &str) -> Command {
        let mut command = Command::new(path);
        command.env("DISPLAY", &self.display).env_remove("WAYLAND_DISPLAY").env("LIBGL_ALWAYS_SOFTWARE", "1");
        command
    }

    /// What a tool on this display says; what it fails at is said as nothing.
    pub fn run(&self, tool: &str, args: &[&str]) -> String {
        let output = Command::new(tool)
            .args(args)
            .env("DISPLAY", &self.display)
            .stderr(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{tool} is installed: {error}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn capture(&self) -> Picture {
        let output = Command::new("import")
            .args(["-window", "root", "-depth", "8", "rgb:-"])
            .env("DISPLAY", &self.display)
            .output()
            .expect("import is installed (package imagemagick)");
        assert_eq!(output.stdout.len(), (self.width * self.height * 3) as usize, "{:?}", output.status);
        Picture { width: self.width, height: self.height, rgb: output.stdout }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

pub struct Window<'a> {
    screen: &'a Screen,
    process: Child,
    input: ChildStdin,
    said: Receiver<String>,
    id: String,
    /// The picture when it last was at rest.
    last: Option<Picture>,
}

impl Window<'_> {
    /// Another snapshot, which looks different, arrives from the runner; the picture once it is drawn.
    #[track_caller]
    pub fn scene(&mut self, scene: &str) -> Picture {
        self.changes(|window| window.tell(scene))
    }

    /// Does something that changes the picture; the picture once it has.
    #[track_caller]
    pub fn changes(&mut self, act: impl FnOnce(&mut Self)) -> Picture {
        let before = match self.last.take() {
            Some(last) => last,
            None => self.settle(),
        };
        act(self);
        let began = Instant::now();
        while self.screen.capture() == before {
            assert!(began.elapsed() < PATIENCE, "nothing changed");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.settle()
    }

    /// A line to the process with the window.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the window's process reads");
    }

    /// Presses keys, named as X names them.
    pub fn press(&self, keys: &[&str]) {
        for key in keys {
            self.screen.run("xdotool", &["key", "--clearmodifiers", key]);
        }
    }

    /// Types as a barcode scanner does, with Enter at the end.
    pub fn scan(&self, text: &str) {
        // One program for both: a scanner presses Enter as fast as it types.
        self.screen.run("xdotool", &["type", "--args", "1", "--delay", "8", text, "key", "Return"]);
    }

    /// Types as a person does.
    pub fn type_text(&self, text: &str) {
        self.screen.run("xdotool", &["type", "--delay", "90", text]);
    }

    pub fn click(&self, x: u32, y: u32) {
        self.screen.run("xdotool", &["mousemove", &x.to_string(), &y.to_string(), "sleep", "0.2", "click", "1"]);
    }

    pub fn title(&self) -> String {
        self.screen.run("xdotool", &["getwindowname", &self.id]).trim().to_owned()
    }

    /// The next thing the window asks for.
    #[track_caller]
    pub fn asked(&self) -> String {
        match self.said.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("the window asked for nothing"),
            Err(RecvTimeoutError::Disconnected) => panic!("the window is gone"),
        }
    }

    #[track_caller]
    pub fn asked_nothing(&self) {
        if let Ok(line) = self.said.recv_timeout(Duration::from_millis(700)) {
            panic!("the window asked for {line}");
        }
    }

    /// The picture once it no longer changes.
    pub fn settle(&mut self) -> Picture {
        let began = Instant::now();
        let mut before = self.screen.capture();
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let now = self.screen.capture();
            let blank = now.rgb.iter().all(|byte| *byte == now.rgb[0]);
            if now == before && !blank {
                self.last = Some(now.clone());
                return now;
            }
            assert!(began.elapsed() < PATIENCE, "the window never comes to rest");
            before = now;
        }
    }

    /// Processor time used so far, all threads.
    pub fn cpu(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = std::fs::read_to_string(&path).expect("the process lives");
        // proc(5): the name in parentheses may hold spaces; utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a stat line").1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Clone, PartialEq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

pub type Rgb = [u8; 3];

impl Picture {
    /// The part of `area` (left, top, right, bottom as parts of the whole, 0 to 1) that has `colour`.
    pub fn share(&self, colour: Rgb, area: [f32; 4]) -> f32 {
        let at = |part: f32, whole: u32| ((part * whole as f32) as u32).min(whole);
        let (left, right) = (at(area[0], self.width), at(area[2], self.width));
        let (top, bottom) = (at(area[1], self.height), at(area[3], self.height));
        let mut same = 0;
        for y in top..bottom {
            for x in left..right {
                let at = ((y * self.width + x) * 3) as usize;
                same += usize::from(self.rgb[at..at + 3] == colour);
            }
        }
        same as f32 / ((right - left) * (bottom - top)).max(1) as f32
    }

    /// As `target/window/NAME.png`.
    pub fn keep(&self, name: &str) {
        self.write("target/window", name, &[]);
    }

    /// The same, and small as `tests/window/reference/NAME.png` where those are to be renewed: what a person who
    /// changes the window compares with.
    pub fn keep_for_reference(&self, name: &str) {
        self.keep(name);
        if std::env::var_os("LINESEAL_RENEW").is_some() {
            let small =
                ["-resize", "960x", "-dither", "None", "-colors", "48", "-strip", "-define", "png:compression-level=9"];
            self.write("tests/window/reference", name, &small);
        }
        let known = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/window/reference/{name}.png"));
        assert!(
            known.is_file(),
            "{name} has no reference picture: LINESEAL_RENEW=1 cargo test --test window reference"
        );
    }

    fn write(&self, folder: &str, name: &str, options: &[&str]) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
        std::fs::create_dir_all(&folder).expect("the folder is writable");
        let mut convert = Command::new("convert")
            .args(["-size", &format!("{}x{}", self.width, self.height), "-depth", "8", "rgb:-"])
            .args(options)
            .arg(folder.join(format!("{name}.png")))
            .stdin(Stdio::piped())
            .spawn()
            .expect("convert is installed (package imagemagick)");
        convert.stdin.take().expect("piped").write_all(&self.rgb).expect("convert reads");
        assert!(convert.wait().expect("convert ends").success());
    }
}
