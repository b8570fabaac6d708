//! Which batch, how far, how well; and whether cloud, log and printer are there.

use egui::{Align2, Frame, Painter, Panel, Rect, Ui, pos2, vec2};
use jiff::Timestamp;

use crate::domain::Verdict;
use crate::gui::screens::sign_in::corner;
use crate::gui::screens::{View, say};
use crate::gui::theme::size;
use crate::gui::widgets::health::{Condition, Pill};
use crate::gui::widgets::text::{Pen, fit_line, place};
use crate::runner::view::{BatchView, CopyPlace, Health, ManifestView};
use crate::texts::reasons;

use super::{Message, Service, scale};

pub fn show(ui: &mut Ui, view: &View, messages: &mut Vec<Message>) {
    let k = scale(ui.available_width());
    let height = (92.0 * k).max(62.0);
    let frame = Frame::new().fill(view.theme.surface);
    Panel::top("header").exact_size(height).resizable(false).show_separator_line(false).frame(frame).show(ui, |ui| {
        let rect = ui.max_rect();
        let painter = ui.painter().clone();
        painter.hline(rect.x_range(), rect.bottom() - 0.5, view.theme.hairline());
        let inner = rect.shrink2(vec2(28.0 * k, 8.0 * k));
        let right = operator_and_health(ui, view, inner, k, messages);
        let left = Rect::from_min_max(inner.min, pos2(right - 20.0 * k, inner.bottom()));
        name_and_batch(&painter, view, left, k);
    });
}

fn name_and_batch(painter: &Painter, view: &View, rect: Rect, k: f32) {
    let station = view.snapshot.station.to_string();
    let mut x = block(painter, view, rect, rect.left(), k, "Lineseal", &station, Order::ValueFirst, 220.0 * k);
    x += 36.0 * k;
    let Some(batch) = &view.snapshot.batch else {
        let text = say!(view, "header-no-batch");
        let at = Rect::from_min_max(pos2(x, rect.top()), rect.max);
        place(
            painter,
            fit_line(painter, &text, Pen::regular(20.0 * k, view.theme.muted), at.width()),
            at,
            Align2::LEFT_CENTER,
        );
        return;
    };
    let figures = figures(view, batch);
    let widths: Vec<f32> = figures.iter().map(|(value, caption)| width(painter, view, k, value, caption)).collect();
    // In a narrow window the gaps and the bar give way first, and the name of the batch never does.
    let (wide, narrow) = (28.0 * k, 17.0 * k);
    let room = |gap: f32| rect.right() - x - 2.0 - widths.iter().map(|width| width + gap).sum::<f32>();
    let gap = if room(wide) < 260.0 * k { narrow } else { wide };
    x = progress(painter, view, rect, x, k, batch, room(gap)) + gap;
    for (at, ((value, caption), width)) in figures.iter().zip(widths).enumerate() {
        let left = rect.right() - x;
        // Yield and HELD are for every batch, and cut where there is no room.
        if at >= OF_EVERY_BATCH && width > left {
            return;
        }
        x = block(painter, view, rect, x, k, value, caption, Order::CaptionFirst, left.max(40.0)) + gap;
    }
}

const OF_EVERY_BATCH: usize = 2;

/// By the station's own clock face; on another day than `now` with its date.
fn time_of_day(view: &View, now: Timestamp, at: Timestamp) -> String {
    let (now, at) = (now.to_zoned(view.zone.clone()), at.to_zoned(view.zone.clone()));
    let form = if now.date() == at.date() { "%H:%M" } else { "%m-%d %H:%M" };
    at.strftime(form).to_string()
}

/// What is told of a batch, each with its caption; of its shipment manifest what tells of a substitution first.
fn figures(view: &View, batch: &BatchView) -> Vec<(String, String)> {
    let yields = match batch.first_attempts {
        0 => "—".to_owned(),
        attempts => {
            let percent = format!("{:.1}", batch.first_passes as f64 * 100.0 / attempts as f64);
            say!(view, "header-yield-value", percent = percent)
        }
    };
    let unknown = || "—".to_owned();
    let (pace, end) = match &batch.pace {
        Some(pace) => {
            (pace.per_hour.to_string(), pace.ends.map_or_else(unknown, |end| time_of_day(view, pace.at, end)))
        }
        None => (unknown(), unknown()),
    };
    let mut figures = vec![
        (yields, say!(view, "header-yield")),
        (batch.held.to_string(), say!(view, "header-held")),
        (pace, say!(view, "header-pace")),
        (end, say!(view, "header-end")),
    ];
    if let Some(ManifestView { entries, consumed, matched, unknown }) = batch.manifest {
        figures.extend([
            (say!(view, "header-done", done = consumed, planned = entries), say!(view, "header-manifest-used")),
            (unknown.to_string(), say!(view, "header-manifest-unknown")),
            (entries.saturating_sub(consumed).to_string(), say!(view, "header-manifest-missing")),
            (matched.to_string(), say!(view, "header-manifest-matched")),
        ]);
    }
    figures
}

enum Order {
    CaptionFirst,
    ValueFirst,
}

/// A number or name in bold with a small caption; returns its right edge.
#[allow(clippy::too_many_arguments)] // a private drawing helper; a struct would say the same twice
fn block(
    painter: &Painter,
    view: &View,
    rect: Rect,
    x: f32,
    k: f32,
    value: &str,
    caption: &str,
    order: Order,
    width: f32,
) -> f32 {
    let value = fit_line(painter, value, Pen::bold(26.0 * k, view.theme.ink), width);
    let caption = fit_line(painter, caption, Pen::regular((15.0 * k).max(12.0), view.theme.muted), width);
    let wide = value.size().x.max(caption.size().x);
    let (first, second) = match order {
        Order::CaptionFirst => (caption, value),
        Order::ValueFirst => (value, caption),
    };
    let gap = 3.0 * k;
    let top = rect.center().y - (first.size().y + gap + second.size().y) / 2.0;
    let first_rect = Rect::from_min_size(pos2(x, top), first.size());
    let second_rect = Rect::from_min_size(pos2(x, first_rect.bottom() + gap), second.size());
    place(painter, first, first_rect, Align2::LEFT_TOP);
    place(painter, second, second_rect, Align2::LEFT_TOP);
    x + wide
}

/// What [`block`] takes where nothing is cut.
fn width(painter: &Painter, view: &View, k: f32, value: &str, caption: &str) -> f32 {
    let value = fit_line(painter, value, Pen::bold(26.0 * k, view.theme.ink), f32::INFINITY);
    let caption = fit_line(painter, caption, Pen::regular((15.0 * k).max(12.0), view.theme.muted), f32::INFINITY);
    value.size().x.max(caption.size().x)
}

/// The batch's name, how many are done, and a bar as wide as there is room for; returns its right edge.
fn progress(painter: &Painter, view: &View, rect: Rect, x: f32, k: f32, batch: &BatchView, room: f32) -> f32 {
    let theme = view.theme;
    let width = 260.0 * k;
    let name = say!(view, "header-batch", name = batch.name.as_str());
    let name = fit_line(painter, &name, Pen::regular((15.0 * k).max(12.0), theme.muted), width);
    let done = say!(view, "header-done", done = batch.passed, planned = batch.planned);
    let done = fit_line(painter, &done, Pen::bold(26.0 * k, theme.ink), width);
    let width = room.min(width).max(name.size().x).max(done.size().x);
    let (gap, bar_height) = (3.0 * k, 9.0 * k);
    let top = rect.center().y - (name.size().y + done.size().y + 2.0 * gap + bar_height) / 2.0;
    let name_rect = Rect::from_min_size(pos2(x, top), name.size());
    let done_rect = Rect::from_min_size(pos2(x, name_rect.bottom() + gap), done.size());
    place(painter, name, name_rect, Align2::LEFT_TOP);
    place(painter, done, done_rect, Align2::LEFT_TOP);
    let bar = Rect::from_min_size(pos2(x, done_rect.bottom() + gap), vec2(width, bar_height));
    painter.rect_filled(bar, bar_height / 2.0, theme.line);
    let part = if batch.planned == 0 { 0.0 } else { (batch.passed as f32 / batch.planned as f32).min(1.0) };
    let mut done_bar = bar;
    done_bar.set_width(width * part);
    painter.rect_filled(done_bar, bar_height / 2.0, theme.mark(Verdict::Pass));
    bar.right()
}

/// Copies on the log's own disk are as good as none.
fn copies_name(view: &View) -> String {
    match view.snapshot.copies.place {
        CopyPlace::Elsewhere => say!(view, "health-copies"),
        CopyPlace::Nowhere | CopyPlace::SameDisk => say!(view, "health-no-copies"),
    }
}

/// From the right edge to the left; returns where it begins.
fn operator_and_health(ui: &mut Ui, view: &View, rect: Rect, k: f32, messages: &mut Vec<Message>) -> f32 {
    let (mut right, pressed) = corner(ui, view, rect, k);
    if pressed {
        messages.push(Message::Person);
    }
    let mut services = vec![
        (Service::Printer, say!(view, "health-printer"), &view.snapshot.printer),
        (Service::Copies, copies_name(view), &view.snapshot.copies.health),
        (Service::Log, say!(view, "health-log"), &view.snapshot.log),
        (Service::Cloud, say!(view, "health-cloud"), &view.snapshot.cloud),
    ];
    if matches!(view.snapshot.signals, Health::Bad(_)) {
        services.push((Service::Signals, say!(view, "health-signals"), &view.snapshot.signals));
    }
    for (service, name, health) in services {
        let unproven = service == Service::Copies && view.snapshot.copies.place != CopyPlace::Elsewhere;
        let (condition, text, spoken) = match health {
            Health::Good | Health::Unknown if unproven => {
                (Condition::Unknown, name.clone(), say!(view, "a11y-copies-none", name = name.clone()))
            }
            Health::Good => (Condition::Good, name.clone(), say!(view, "a11y-health-good", name = name.clone())),
            Health::Unknown => {
                (Condition::Unknown, name.clone(), say!(view, "a11y-health-unknown", name = name.clone()))
            }
            Health::Bad(failure) => {
                let title = reasons().text(view.texts.language(), failure).title;
                let spoken = say!(view, "a11y-health-bad", name = name.clone(), text = title);
                (Condition::Bad, format!("{name} {}", failure.code), spoken)
            }
        };
        let pill = Pill { text: &text, condition, spoken: &spoken, size: (16.0 * k).max(13.0) };
        let width = pill.width(ui);
        let at = Rect::from_center_size(pos2(right - width / 2.0, rect.center().y), vec2(width, size::TOUCH));
        if pill.at(ui, view.theme, &name, at).clicked() {
            messages.push(Message::Health(service));
        }
        right = at.left() - 10.0 * k;
    }
    right
}
