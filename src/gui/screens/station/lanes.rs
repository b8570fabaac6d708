//! Lanes 1 to 16 as tiles, in the grid that makes the verdicts largest.

use egui::{CentralPanel, Frame, Rect, Ui, Vec2, pos2, vec2};

use crate::audit::event::LabelStatus;
use crate::domain::{Failure, LaneNumber, Step, Verdict};
use crate::gui::screens::{View, say};
use crate::gui::widgets::steps::Steps;
use crate::gui::widgets::tile::{Action, Body, Tile};
use crate::runner::view::{LaneState, LaneView};
use crate::texts::reasons;

use super::{Message, scale};

/// Draws all lanes; returns the one that has the keyboard's focus.
pub fn show(ui: &mut Ui, view: &View, take_focus: bool, messages: &mut Vec<Message>) -> Option<LaneNumber> {
    let frame = Frame::new().fill(view.theme.ground);
    let mut focused = None;
    CentralPanel::default().frame(frame).show(ui, |ui| {
        let k = scale(ui.ctx().content_rect().width());
        let gap = (20.0 * k).max(10.0);
        let area = ui.max_rect().shrink2(vec2(28.0 * k, gap));
        let lanes = &view.snapshot.lanes;
        let columns = columns(lanes.len(), area.size());
        for (at, lane) in lanes.iter().enumerate() {
            let rect = cell(area, gap, columns, lanes.len(), at);
            let answer = tile(view, lane).show(ui, view.theme, rect);
            if take_focus && at == 0 {
                answer.tile.request_focus();
            }
            if answer.tile.has_focus() {
                focused = Some(lane.number);
            }
            if answer.tile.clicked() {
                messages.push(Message::Details(lane.number));
            }
            if answer.action {
                messages.push(action(lane).unwrap_or(Message::Details(lane.number)));
            }
        }
    });
    focused
}

/// The verdict's word in the window's language.
pub fn word(view: &View, verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass => say!(view, "verdict-pass"),
        Verdict::Fail => say!(view, "verdict-fail"),
        Verdict::Error => say!(view, "verdict-error"),
        Verdict::Aborted => say!(view, "verdict-aborted"),
        Verdict::Held => say!(view, "verdict-held"),
    }
}

/// The English word beside a translated one; empty in English.
pub fn code_word(view: &View, verdict: Verdict) -> String {
    match verdict {
        Verdict::Pass => say!(view, "verdict-code-pass"),
        Verdict::Fail => say!(view, "verdict-code-fail"),
        Verdict::Error => say!(view, "verdict-code-error"),
        Verdict::Aborted => say!(view, "verdict-code-aborted"),
        Verdict::Held => say!(view, "verdict-code-held"),
    }
}

/// How many columns make the largest verdicts: a word is about three times as wide as high, and its
/// tile has a head and a sentence besides. Empty cells count against a grid.
fn columns(lanes: usize, area: Vec2) -> usize {
    let score = |columns: usize| {
        let rows = lanes.div_ceil(columns);
        let (width, height) = (area.x / columns as f32, area.y / rows as f32);
        (width / 3.2).min(height / 2.0) * lanes as f32 / (columns * rows) as f32
    };
    (1..=lanes.max(1)).max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or(1)
}

fn cell(area: Rect, gap: f32, columns: usize, lanes: usize, at: usize) -> Rect {
    let rows = lanes.div_ceil(columns).max(1);
    let width = (area.width() - gap * (columns - 1) as f32) / columns as f32;
    let height = (area.height() - gap * (rows - 1) as f32) / rows as f32;
    let (column, row) = ((at % columns) as f32, (at / columns) as f32);
    let corner = pos2(area.left() + column * (width + gap), area.top() + row * (height + gap));
    Rect::from_min_size(corner, vec2(width, height))
}

/// What the button in a lane's head does.
fn action(lane: &LaneView) -> Option<Message> {
    match &lane.state {
        LaneState::Finished { verdict: Verdict::Error | Verdict::Aborted, present: true, .. } => {
            Some(Message::Retry(lane.number))
        }
        LaneState::Refused { .. } => Some(Message::Retry(lane.number)),
        LaneState::Finished { verdict: Verdict::Fail, .. } => Some(Message::Details(lane.number)),
        _ => None,
    }
}

fn tile(view: &View, lane: &LaneView) -> Tile {
    let number = lane.number.to_string();
    let mut below: Vec<String> = Vec::new();
    if lane.name != number && !lane.name.is_empty() {
        below.push(lane.name.clone());
    }
    let mut heading = "—".to_owned();
    let count = Step::ALL.len();
    let (body, steps, state) = match &lane.state {
        LaneState::Free => {
            heading = say!(view, "lane-free");
            let text = if view.snapshot.paused { say!(view, "lane-paused") } else { say!(view, "lane-plug-in") };
            let spoken = heading.clone();
            (Body::Free { text }, Steps { count, done: 0, current: None }, spoken)
        }
        LaneState::Waiting => {
            heading = say!(view, "lane-board");
            let text = if view.snapshot.paused { say!(view, "lane-waiting") } else { say!(view, "step-detect") };
            let steps = Steps { count, done: 0, current: None };
            (Body::Working { text: text.clone() }, steps, text)
        }
        LaneState::Running { serial, step, waits_for_scan, .. } => {
            if let Some(serial) = serial {
                heading = serial.to_string();
            }
            let steps = Steps { count, done: place_of(*step), current: Some(view.theme.accent) };
            let name = if *waits_for_scan { say!(view, "step-scan") } else { step_name(view, *step) };
            let at = place_of(*step) + 1;
            let spoken = say!(view, "a11y-step", at = at, count = count, name = name.clone());
            let body = if *waits_for_scan { Body::Scan { text: name } } else { Body::Working { text: name } };
            (body, steps, spoken)
        }
        LaneState::Finished { serial, verdict, reason, step, present, .. } => {
            heading = serial.as_ref().map_or_else(|| say!(view, "lane-no-serial"), |serial| serial.to_string());
            if !present {
                below.push(say!(view, "lane-removed"));
            }
            let paint = view.theme.verdict(*verdict);
            let steps = match verdict {
                Verdict::Pass => Steps { count, done: count, current: None },
                _ => Steps { count, done: place_of(*step), current: Some(view.theme.mark(*verdict)) },
            };
            let word = word(view, *verdict);
            let spoken = match reason {
                Some(failure) => format!("{word} {}", failure.code),
                None => word.clone(),
            };
            let sentence = sentence(view, &lane.state);
            let detail = detail(view, &lane.state);
            (Body::Verdict { shape: *verdict, paint, word, sentence, detail }, steps, spoken)
        }
        LaneState::Refused { failure } => {
            let word = say!(view, "verdict-unrecorded");
            let spoken = format!("{word} {}", failure.code);
            let sentence = technician(view, failure);
            let detail = vec![failure.code.to_string()];
            let body = Body::Verdict { shape: Verdict::Error, paint: view.theme.error, word, sentence, detail };
            (body, Steps { count, done: 0, current: None }, spoken)
        }
    };
    let action = match action(lane) {
        Some(Message::Retry(_)) => Some(Action { key: "F4", label: say!(view, "button-retry") }),
        Some(_) => Some(Action { key: "F3", label: say!(view, "button-show-qa") }),
        None => None,
    };
    let spoken = say!(view, "a11y-lane", lane = lane.number.get(), state = state);
    let watermark = view.snapshot.practice.then(|| say!(view, "practice-word"));
    Tile { number, heading, below: below.join(" · "), steps, body, action, spoken, watermark }
}

/// What the technician does now that the run has ended.
fn sentence(view: &View, state: &LaneState) -> String {
    let LaneState::Finished { verdict, reason, label, .. } = state else { return String::new() };
    match (reason, verdict) {
        (Some(failure), _) => technician(view, failure),
        (None, Verdict::Pass) => match label {
            None => say!(view, "pass-label-printing"),
            Some(LabelStatus::Printed) => say!(view, "pass-label-printed"),
            Some(LabelStatus::Pending) => say!(view, "pass-label-pending"),
            Some(LabelStatus::Failed) => say!(view, "pass-label-failed"),
            Some(LabelStatus::None) => say!(view, "pass-label-none"),
        },
        (None, Verdict::Fail) => say!(view, "todo-fail"),
        (None, Verdict::Error) => say!(view, "todo-error"),
        (None, Verdict::Held) => say!(view, "todo-held"),
        (None, Verdict::Aborted) => say!(view, "todo-aborted"),
    }
}

/// The small line: what one asks for when calling QA or looking for the label, most wanted first.
fn detail(view: &View, state: &LaneState) -> Vec<String> {
    let LaneState::Finished { thing, verdict, reason, slip, label, took_ms, .. } = state else { return Vec::new() };
    let code = reason.as_ref().map(|failure| failure.code.to_string());
    let slip = slip.map(|number| say!(view, "slip-number", number = number));
    let slip_state = match label {
        Some(LabelStatus::Pending) => Some(say!(view, "slip-pending")),
        Some(LabelStatus::Failed) => Some(say!(view, "slip-failed")),
        Some(LabelStatus::Printed | LabelStatus::None) | None => None,
    };
    let label = match label {
        Some(LabelStatus::Printed) => Some(say!(view, "label-printed")),
        Some(LabelStatus::Pending) => Some(say!(view, "label-pending")),
        Some(LabelStatus::Failed) => Some(say!(view, "label-failed")),
        Some(LabelStatus::None) | None => None,
    };
    let word = Some(code_word(view, *verdict));
    let parts = match verdict {
        Verdict::Pass => {
            let seconds = format!("{:.1}", *took_ms as f64 / 1000.0);
            let thing = thing.as_ref().map(ToString::to_string);
            vec![word, code, thing, label, Some(say!(view, "seconds", seconds = seconds))]
        }
        Verdict::Fail => vec![word, code, Some(say!(view, "call-qa"))],
        Verdict::Held => vec![word, slip, slip_state, code],
        Verdict::Error | Verdict::Aborted => vec![word, code],
    };
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect()
}

fn technician(view: &View, failure: &Failure) -> String {
    reasons().text(view.texts.language(), failure).technician
}

pub fn step_name(view: &View, step: Step) -> String {
    match step {
        Step::Detect => say!(view, "step-detect"),
        Step::Identify => say!(view, "step-identify"),
        Step::Read => say!(view, "step-read"),
        Step::Prove => say!(view, "step-prove"),
        Step::Check => say!(view, "step-check"),
        Step::Register => say!(view, "step-register"),
        Step::Connect => say!(view, "step-connect"),
        Step::Seal => say!(view, "step-seal"),
        Step::Print => say!(view, "step-print"),
    }
}

fn place_of(step: Step) -> usize {
    Step::ALL.iter().position(|known| *known == step).unwrap_or(0)
}
