//! The window itself: takes snapshots, hands them to the screen, carries out what the screen asks.

use std::sync::Arc;

use egui::{Event as Input, Frame, Panel, Vec2, ViewportCommand};
use jiff::tz::TimeZone;
use tokio::sync::mpsc;

use crate::config::{Look, Scanner};
use crate::runner::view::{Command, LaneState, Snapshot};
use crate::texts::{Language, Texts, fl};

use super::bridge::Bridge;
use super::practice_panel::{PracticeBridge, PracticePanel};
use super::screens::View;
use super::screens::settings::{Effect, SettingsPanel};
use super::screens::sign_in::SignIn;
use super::screens::station::{self, Station};
use super::theme::{Theme, size};
use super::wedge::{Line, Wedge};
use super::widgets::shapes;
use super::widgets::text::{Pen, line};
use super::{Error, theme};

/// How the window begins.
pub struct WindowOptions {
    pub language: Language,
    /// Points. `None`: as large as the screen allows.
    pub size: Option<[f32; 2]>,
    pub theme: Look,
    /// Hears of each theme that is chosen by key.
    pub chosen: Option<mpsc::Sender<Look>>,
    pub scanner: Scanner,
    /// The practice line's controls; shown only while the snapshot says practice.
    pub practice: Option<PracticeBridge>,
}

/// Opens the window and returns when it is closed. Must be called on the process's main thread; the
/// runner lives on others and learns of the end by the caller.
///
/// # Errors
/// There is no display, or none with OpenGL.
pub fn open(bridge: Bridge, options: WindowOptions) -> Result<(), Error> {
    let texts = Texts::load(options.language.clone())?;
    let title = title(&texts, &bridge.latest().snapshot);
    let mut viewport = egui::ViewportBuilder::default()
        .with_title(&title)
        .with_app_id("lineseal")
        .with_icon(theme::icon())
        .with_min_inner_size([1024.0, 640.0]);
    viewport = match options.size {
        Some(size) => viewport.with_inner_size(size),
        None => viewport.with_inner_size([1280.0, 800.0]).with_maximized(true),
    };
    let native = eframe::NativeOptions { viewport, renderer: eframe::Renderer::Glow, ..Default::default() };
    eframe::run_native(
        &title,
        native,
        Box::new(move |context| Ok(Box::new(App::new(&context.egui_ctx, bridge, options, texts)))),
    )
    .map_err(Error::Window)
}

/// What [`open`] opens a window for, for whoever brings a window of their own.
///
/// # Errors
/// The texts are damaged.
pub fn app(ctx: &egui::Context, bridge: Bridge, options: WindowOptions) -> Result<impl eframe::App + use<>, Error> {
    let texts = Texts::load(options.language.clone())?;
    Ok(App::new(ctx, bridge, options, texts))
}

pub(super) struct App {
    bridge: Bridge,
    theme: Theme,
    texts: Texts,
    wedge: Wedge,
    snapshot: Arc<Snapshot>,
    runner_gone: bool,
    station: Station,
    sign_in: SignIn,
    settings: SettingsPanel,
    practice: Option<PracticePanel>,
    chosen: Option<mpsc::Sender<Look>>,
    /// Where the station stands; times of day are told by it.
    zone: TimeZone,
    /// A person has said twice that the window shall close.
    leaving: bool,
}

impl App {
    pub(super) fn new(ctx: &egui::Context, bridge: Bridge, options: WindowOptions, texts: Texts) -> App {
        bridge.wake(ctx);
        if let Some(practice) = &options.practice {
            bridge.wake_for(&practice.views, ctx);
        }
        let theme = Theme::of(options.theme);
        theme::install_fonts(ctx);
        theme.apply(ctx);
        // The window is drawn as large as its screen allows; a stray Ctrl and minus changes nothing.
        ctx.options_mut(|options| options.zoom_with_keyboard = false);
        let latest = bridge.latest();
        App {
            bridge,
            theme,
            texts,
            wedge: Wedge::new(options.scanner),
            snapshot: latest.snapshot,
            runner_gone: latest.gone,
            station: Station::default(),
            sign_in: SignIn::default(),
            settings: SettingsPanel::default(),
            practice: options.practice.map(PracticePanel::new),
            chosen: options.chosen,
            zone: TimeZone::system(),
            leaving: false,
        }
    }

    /// Takes the latest snapshot, and asks before a window closes on running boards.
    pub(super) fn prepare(&mut self, ctx: &egui::Context) {
        zoom(ctx);
        let latest = self.bridge.latest();
        self.snapshot = latest.snapshot;
        self.runner_gone = latest.gone;
        let running = self.snapshot.lanes.iter().any(|lane| matches!(lane.state, LaneState::Running { .. }));
        let asked_to_close = ctx.input(|input| input.viewport().close_requested());
        if asked_to_close && running && !self.leaving && !self.runner_gone {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            self.station.ask_to_leave();
        }
    }

    /// Draws everything into `ui`, which is the whole window.
    pub(super) fn draw(&mut self, ui: &mut egui::Ui) {
        let snapshot = Arc::clone(&self.snapshot);
        let typed = self.wedge.shown(&snapshot.desk.badge_prefix);
        let view = View {
            theme: &self.theme,
            texts: &self.texts,
            snapshot: &snapshot,
            typed: &typed,
            zone: &self.zone,
            runner_gone: self.runner_gone,
        };
        let (sign_in, settings, mut orders) = (&mut self.sign_in, &mut self.settings, Vec::new());
        let mut effect = settings.prepare(ui, &view, &mut orders);
        if settings.is_open() {
            sign_in.make_room(&mut orders);
        }
        sign_in.prepare(ui, &view, &mut orders);
        if sign_in.is_open() {
            settings.close(&mut orders);
        }
        if snapshot.practice {
            practice_banner(ui, &view);
            practice_edge(ui, &view);
        }
        sign_in.bar(ui, &view, &mut orders);
        self.station.is_typed_beside(sign_in.is_typing() || settings.is_typing());
        let mut asked = Vec::new();
        let mut practice = self.practice.as_mut().filter(|_| snapshot.practice);
        let mut side = |ui: &mut egui::Ui| match &mut practice {
            // There is room beside the lanes for one of them.
            _ if settings.is_open() => effect = settings.side(ui, &view, &mut orders).or(effect.take()),
            Some(practice) if !sign_in.is_open() => practice.show(ui, &view),
            _ => sign_in.side(ui, &view, &mut orders),
        };
        self.station.show(ui, &view, Some(&mut side), &mut asked);
        if asked.contains(&station::Event::Person) {
            settings.close(&mut orders);
            sign_in.toggle(&view, &mut orders);
        }
        if asked.contains(&station::Event::Settings) {
            settings.toggle(&view, &mut orders);
        }
        for order in orders {
            self.send(ui.ctx(), order);
            ui.ctx().request_repaint();
        }
        for event in asked {
            self.perform(ui.ctx(), event);
        }
        match effect {
            Some(Effect::Language(language)) => self.speak(ui.ctx(), language),
            Some(Effect::Theme(look)) => self.wear(ui.ctx(), look),
            None => {}
        }
    }

    fn speak(&mut self, ctx: &egui::Context, language: Language) {
        match self.texts.switch_to(language) {
            Ok(()) => ctx.send_viewport_cmd(ViewportCommand::Title(title(&self.texts, &self.snapshot))),
            Err(error) => tracing::error!(%error, "the language was not switched"),
        }
        ctx.request_repaint();
    }

    fn wear(&mut self, ctx: &egui::Context, look: Look) {
        self.theme = Theme::of(look);
        self.theme.apply(ctx);
        if let Some(chosen) = &self.chosen
            && chosen.try_send(look).is_err()
        {
            tracing::warn!("the theme is not kept for the next start");
        }
        ctx.request_repaint();
    }

    fn perform(&mut self, ctx: &egui::Context, event: station::Event) {
        match event {
            station::Event::Ask(command) => self.send(ctx, command),
            station::Event::NextLanguage => {
                let next = self.texts.language().next();
                self.speak(ctx, next);
            }
            station::Event::NextTheme => {
                self.wear(ctx, self.theme.look.next());
            }
            station::Event::TogglePractice => {
                if let Some(practice) = &mut self.practice {
                    practice.toggle();
                }
            }
            station::Event::ForgetTyped => self.wedge.forget(),
            // They are the other panels'.
            station::Event::Person | station::Event::Settings => {}
            station::Event::Quit => {
                self.leaving = true;
                ctx.send_viewport_cmd(ViewportCommand::Close);
            }
        }
        ctx.request_repaint();
    }

    fn send(&mut self, ctx: &egui::Context, command: Command) {
        self.station.asked();
        if self.bridge.send(command).is_err() {
            self.station.say_busy(ctx.input(|input| input.time));
        }
    }

    /// Takes what the scanner types out of `events`, wherever the focus is.
    fn take_scans(&mut self, ctx: &egui::Context, events: &mut Vec<Input>, now: f64) {
        let typing = self.station.is_typing() || self.sign_in.is_typing() || self.settings.is_typing();
        for line in self.wedge.take(events, now, typing) {
            match line {
                Line::Scanned(code) => {
                    let command = match self.sign_in.scanned(&code, &self.snapshot.desk.badge_prefix) {
                        Command::Scan(code) => self.station.scanned(code, &self.snapshot).map(Command::Scan),
                        // A badge is nothing for a form.
                        badge => Some(badge),
                    };
                    if let Some(command) = command {
                        self.send(ctx, command);
                    }
                }
                Line::ByHand(_) => self.station.say_not_scanned(now),
            }
        }
        if let Some(wait) = self.wedge.owes_in(now) {
            ctx.request_repaint_after(wait);
        }
    }
}

impl eframe::App for App {
    fn raw_input_hook(&mut self, ctx: &egui::Context, input: &mut egui::RawInput) {
        let now = input.time.unwrap_or_else(|| ctx.input(|input| input.time));
        self.take_scans(ctx, &mut input.events, now);
    }

    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.prepare(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.draw(ui);
    }

    fn clear_color(&self, _visuals: &egui::Visuals) -> [f32; 4] {
        self.theme.ground.to_normalized_gamma_f32()
    }
}

/// The window is laid out for [`size::LEAST`] at least: on a smaller screen, or where the desktop enlarges
/// everything, it is drawn smaller as a whole rather than cut.
fn zoom(ctx: &egui::Context) {
    let now = ctx.zoom_factor();
    let unzoomed: Vec2 = ctx.viewport_rect().size() * now;
    let fitting = (unzoomed / size::LEAST).min_elem().min(1.0);
    if fitting > 0.0 && (fitting - now).abs() > 0.005 {
        ctx.set_zoom_factor(fitting);
    }
}

fn title(texts: &Texts, snapshot: &Snapshot) -> String {
    if snapshot.practice {
        format!("Lineseal {} · {}", snapshot.station, fl!(texts.loader(), "practice-word"))
    } else {
        format!("Lineseal {}", snapshot.station)
    }
}

/// Stripes and the word over the whole width: nobody takes this for the real line.
fn practice_banner(ui: &mut egui::Ui, view: &View) {
    let theme = view.theme;
    Panel::top("practice-top").exact_size(size::PRACTICE_BANNER).frame(Frame::NONE).show_separator_line(false).show(
        ui,
        |ui| {
            let rect = ui.max_rect();
            let painter = ui.painter();
            shapes::hatch(painter, rect, theme.practice.fill, theme.watermark);
            let text = fl!(view.texts.loader(), "practice-banner");
            let galley = line(painter, &text, Pen::bold(size::LARGE, theme.practice.text));
            let plate = egui::Rect::from_center_size(rect.center(), galley.size() + egui::vec2(48.0, 24.0));
            painter.with_clip_rect(rect).rect_filled(plate, 0.0, theme.practice.fill);
            super::widgets::text::place(painter, galley, rect, egui::Align2::CENTER_CENTER);
        },
    );
}

/// The stripes again along the window's lower edge.
fn practice_edge(ui: &mut egui::Ui, view: &View) {
    let edge = Panel::bottom("practice-edge").exact_size(size::PRACTICE_EDGE).frame(Frame::NONE);
    edge.show_separator_line(false).show(ui, |ui| {
        shapes::hatch(ui.painter(), ui.max_rect(), view.theme.practice.fill, view.theme.watermark);
    });
}
