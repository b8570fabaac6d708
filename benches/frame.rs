//! What the window costs the processor: a frame of sixteen lanes in all states at once, layout and tessellation, on this
//! thread and without a screen. A frame may take 16 ms; in the release profile it exits with 1 where one takes more.
//!
//! `cargo bench --bench frame`
#![allow(clippy::print_stdout, reason = "it reports by itself")]

#[path = "../src/gui/scenes.rs"]
#[allow(dead_code, reason = "the window's tests draw the others")]
mod scenes;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use eframe::App as _;
use egui::{RawInput, Rect, Vec2, pos2, vec2};
use lineseal::config::{Look, Scanner};
use lineseal::domain::Step;
use lineseal::gui::{Bridge, WindowOptions};
use lineseal::runner::view::{LaneState, Snapshot};
use lineseal::texts::Language;
use tokio::sync::{mpsc, watch};

const ALLOWED: Duration = Duration::from_millis(16);
const FRAMES: usize = 300;
const LANES: u8 = 16;
const SIZES: [Vec2; 2] = [vec2(1280.0, 800.0), vec2(1920.0, 1080.0)];

fn main() -> ExitCode {
    println!("processor time of a frame with {LANES} lanes in all states, ms ({FRAMES} frames, allowed: 16)");
    println!("{:<44} {:>7} {:>7} {:>7} {:>7}", "", "first", "median", "99 %", "worst");
    let mut worst = Duration::ZERO;
    for size in SIZES {
        for language in Language::available() {
            for (what, still) in [("nothing changes", true), ("every frame a step passes in every lane", false)] {
                let title = format!("{} × {} {}: {what}", size.x, size.y, language.tag());
                worst = worst.max(measure(&title, language.clone(), size, still));
            }
        }
    }
    // The edit loop's profile is several times slower, and promises nothing.
    if worst > ALLOWED && !cfg!(debug_assertions) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The worst of all frames but the first, which makes the glyphs.
fn measure(title: &str, language: Language, size: Vec2, still: bool) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("tokio");
    let (snapshots, receiver) = watch::channel(Arc::new(scene(0)));
    let (commands, _asked) = mpsc::channel(8);
    let bridge = Bridge::new(runtime.handle().clone(), receiver, commands);
    let options = WindowOptions {
        language,
        size: None,
        theme: Look::Light,
        chosen: None,
        scanner: Scanner::default(),
        practice: None,
    };
    let ctx = egui::Context::default();
    let mut app = lineseal::gui::app(&ctx, bridge, options).expect("the texts");
    let mut window = eframe::Frame::_new_kittest();
    let mut taken = Vec::with_capacity(FRAMES);
    for at in 0..=FRAMES {
        if !still {
            snapshots.send_replace(Arc::new(scene(at)));
        }
        let screen = Rect::from_min_size(pos2(0.0, 0.0), size);
        let input = RawInput { screen_rect: Some(screen), time: Some(at as f64 / 60.0), ..RawInput::default() };
        let before = processor_time();
        let output = ctx.run_ui(input, |ui| {
            app.logic(&ui.ctx().clone(), &mut window);
            app.ui(ui, &mut window);
        });
        let drawn = ctx.tessellate(output.shapes, output.pixels_per_point);
        taken.push(processor_time() - before);
        assert!(drawn.len() > 10, "nothing is drawn");
        let mut textures = output.textures_delta;
        textures.clear();
    }
    let first = taken.remove(0);
    taken.sort();
    let [median, rare, worst] = [FRAMES / 2, FRAMES * 99 / 100, FRAMES - 1].map(|at| taken[at]);
    let ms = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1000.0);
    println!("{title:<44} {:>7} {:>7} {:>7} {:>7}", ms(first), ms(median), ms(rare), ms(worst));
    worst
}

/// All states; in the lanes that run, and in those that wait for nothing but the next board, a step has passed.
fn scene(at: usize) -> Snapshot {
    let mut snapshot = scenes::busy(LANES, false);
    for (lane, view) in snapshot.lanes.iter_mut().enumerate() {
        let next = Step::ALL[(at + lane) % Step::ALL.len()];
        if let LaneState::Running { step, .. } | LaneState::Finished { step, .. } = &mut view.state {
            *step = next;
        }
    }
    snapshot
}

/// Of this thread, proc(5): what waits for a processor on a busy machine is not the window's.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let on_cpu = text.split_whitespace().next().and_then(|field| field.parse().ok()).expect("nanoseconds");
    Duration::from_nanos(on_cpu)
}
