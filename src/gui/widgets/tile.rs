//! A lane: a head with the board and its steps, and below it what to do or the verdict, over the
//! whole rest of the tile.

use egui::{
    Align, Align2, Color32, CornerRadius, Painter, Rect, Response, Role, Sense, Shape, Stroke, StrokeKind, Ui,
    WidgetInfo, pos2, vec2,
};

use crate::domain::Verdict;
use crate::gui::theme::{Paint, Theme, size};

use super::button::Button;
use super::shapes;
use super::steps::{Steps, steps};
use super::text::{Pen, fit_block, fit_end, fit_line, line, place};

/// What a tile shows.
#[derive(Debug, Clone)]
pub struct Tile {
    /// The lane's number on the jig.
    pub number: String,
    pub heading: String,
    /// A small line below the heading.
    pub below: String,
    pub steps: Steps,
    pub body: Body,
    /// A button in the head.
    pub action: Option<Action>,
    /// Read aloud.
    pub spoken: String,
    /// The practice line: written into the tile, and hatched below a verdict.
    pub watermark: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Action {
    /// Pressed after the lane's number.
    pub key: &'static str,
    pub label: String,
}

#[derive(Debug, Clone)]
pub enum Body {
    /// Nothing to do here but plug in, or wait.
    Free { text: String },
    /// A step runs.
    Working { text: String },
    /// The lane waits for the scanner.
    Scan { text: String },
    /// The end of a run.
    Verdict {
        shape: Verdict,
        paint: Paint,
        word: String,
        /// What to do.
        sentence: String,
        /// Small: code, thing, label; the last ones go where there is no room.
        detail: Vec<String>,
    },
}

pub struct TileResponse {
    /// The tile itself, for focus and details.
    pub tile: Response,
    /// The head's button was pressed.
    pub action: bool,
}

impl Tile {
    pub fn show(&self, ui: &Ui, theme: &Theme, rect: Rect) -> TileResponse {
        let response = ui.interact(rect, ui.scope_id().with(("lane", &self.number)), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &self.spoken));
        let painter = ui.painter().with_clip_rect(rect.expand(4.0).intersect(ui.clip_rect()));
        painter.rect_filled(rect, size::RADIUS, theme.surface);
        let head_height = (rect.height() * 0.2).clamp(42.0, 84.0).round();
        let (head, body) = rect.split_top_bottom_at_y(rect.top() + head_height);
        self.paint_body(&painter, theme, body);
        let action = self.paint_head(ui, &painter, theme, head);
        painter.rect_stroke(rect, size::RADIUS, theme.hairline(), StrokeKind::Inside);
        if response.has_focus() {
            painter.rect_stroke(
                rect.expand(4.0),
                size::RADIUS + 4.0,
                Stroke::new(4.0, theme.accent),
                StrokeKind::Inside,
            );
        }
        TileResponse { tile: response, action }
    }

    fn paint_head(&self, ui: &Ui, painter: &Painter, theme: &Theme, rect: Rect) -> bool {
        let pad = (rect.width() * 0.04).clamp(8.0, 20.0);
        let bar_height = (rect.height() * 0.09).clamp(5.0, 8.0);
        let bar = Rect::from_min_max(
            pos2(rect.left() + pad, rect.bottom() - bar_height - pad * 0.4),
            pos2(rect.right() - pad, rect.bottom() - pad * 0.4),
        );
        steps(painter, theme, bar, self.steps);
        let mut row =
            Rect::from_min_max(pos2(rect.left() + pad, rect.top() + 2.0), pos2(rect.right() - pad, bar.top()));
        let number = line(painter, &self.number, Pen::bold((row.height() * 0.72).min(42.0), theme.ink));
        let number = place(painter, number, row, Align2::LEFT_CENTER);
        row.min.x = number.right() + pad;
        let mut pressed = false;
        if let Some(action) = &self.action {
            let text = (row.height() * 0.36).clamp(size::SMALL, size::BODY);
            // The lane's number typed before the key says which lane is meant.
            let key = format!("{} {}", self.number, action.key);
            let mut button = Button::new(&action.label).text(text);
            if rect.width() > 340.0 {
                button = button.key(&key);
            }
            let extent = vec2(button.width(ui), (row.height() - 6.0).min(size::TOUCH));
            let place = Align2::RIGHT_CENTER.align_size_within_rect(extent, row);
            pressed = button.at(ui, theme, ("action", &self.number), place).clicked();
            row.max.x = place.left() - pad * 0.5;
        }
        let heading = Pen::bold((row.height() * 0.42).clamp(size::SMALL, size::LARGE), theme.ink);
        let heading = fit_end(painter, &self.heading, heading, row.width());
        if self.below.is_empty() {
            place(painter, heading, row, Align2::LEFT_CENTER);
        } else {
            let below = Pen::regular((row.height() * 0.28).clamp(size::SMALLEST, size::SMALL), theme.muted);
            let below = fit_line(painter, &self.below, below, row.width());
            let both = heading.size().y + below.size().y;
            let top = row.center().y - both / 2.0;
            let first = Rect::from_min_size(pos2(row.left(), top), vec2(row.width(), heading.size().y));
            let second = Rect::from_min_size(first.left_bottom(), vec2(row.width(), below.size().y));
            place(painter, heading, first, Align2::LEFT_CENTER);
            place(painter, below, second, Align2::LEFT_CENTER);
        }
        pressed
    }

    fn paint_body(&self, painter: &Painter, theme: &Theme, rect: Rect) {
        match &self.body {
            Body::Verdict { shape, paint, word, sentence, detail } => {
                let round = size::RADIUS as u8;
                let corners = CornerRadius { nw: 0, ne: 0, sw: round, se: round };
                painter.rect_filled(rect, corners, paint.fill);
                let mut rect = rect;
                if self.watermark.is_some() {
                    let band = (rect.height() * 0.08).clamp(6.0, 20.0);
                    let (band, rest) = rect.split_top_bottom_at_y(rect.top() + band);
                    shapes::hatch(painter, band, theme.practice.fill, theme.watermark);
                    rect = rest;
                }
                shapes::edge(painter, *shape, rect, margin(rect), paint.text);
                paint_verdict(painter, rect, *shape, paint.text, word, sentence, detail);
            }
            Body::Free { text } => {
                self.paint_watermark(painter, theme, rect);
                paint_quiet(painter, rect, Some(shapes::plug), text, Pen::regular(quiet_size(rect), theme.muted));
            }
            Body::Working { text } => {
                self.paint_watermark(painter, theme, rect);
                paint_quiet(painter, rect, None, text, Pen::bold(quiet_size(rect), theme.ink));
            }
            Body::Scan { text } => {
                self.paint_watermark(painter, theme, rect);
                paint_quiet(painter, rect, Some(shapes::barcode), text, Pen::bold(quiet_size(rect), theme.accent));
            }
        }
    }

    fn paint_watermark(&self, painter: &Painter, theme: &Theme, rect: Rect) {
        let Some(text) = &self.watermark else { return };
        let pen = Pen::bold((rect.height() * 0.3).min(rect.width() * 0.16), theme.watermark);
        let galley = fit_line(painter, text, pen, rect.width() * 0.9);
        let angle = -0.16_f32;
        let half = galley.size() / 2.0;
        let turned = vec2(half.x * angle.cos() - half.y * angle.sin(), half.x * angle.sin() + half.y * angle.cos());
        let mut shape = egui::epaint::TextShape::new(rect.center() - turned, galley, Color32::PLACEHOLDER);
        shape.angle = angle;
        painter.with_clip_rect(rect.intersect(painter.clip_rect())).add(Shape::Text(shape));
    }
}

/// Icon and word as large as they fit, the sentence below them, the detail below that, all centred.
fn paint_verdict(
    painter: &Painter,
    rect: Rect,
    shape: Verdict,
    colour: Color32,
    word: &str,
    sentence: &str,
    detail: &[String],
) {
    let inner = rect.shrink2(margin(rect));
    let detail_size = (rect.height() * 0.072).clamp(size::SMALLEST + 1.0, 20.0);
    let parts = detail;
    let detail = details(painter, parts, Pen::regular(detail_size, colour), inner.width());
    let detail_height = detail.size().y;

    // The word's width is measured once and scaled: trying many sizes would fill the glyph atlas.
    let probe = line(painter, word, Pen::bold(40.0, colour));
    let icon_and_gap = 0.86 + 0.22;
    let by_width = inner.width() * 0.97 / (probe.size().x / 40.0 + icon_and_gap);
    let gap = (inner.height() * 0.025).min(12.0);
    let largest = (rect.height() * 0.11).clamp(16.0, 48.0);
    // Where the sentence is long and the tile low, the word gives way a little.
    let mut share = 0.46;
    let (word_size, sentence) = loop {
        let word_size = by_width.min(inner.height() * share).min(260.0).floor().max(size::SMALL);
        let room = inner.height() - word_size * 1.06 - detail_height - 2.0 * gap;
        let room = vec2(inner.width(), room.max(size::SMALLEST));
        let galley = fit_block(painter, sentence, Pen::regular(largest, colour), room, Align::Center);
        share -= 0.04;
        if !galley.elided || share < 0.3 {
            break (word_size, galley);
        }
    };
    if sentence.elided {
        return paint_low(painter, inner, shape, colour, word, &sentence.job.text, parts);
    }
    let word = line(painter, word, Pen::bold(word_size, colour));
    let word_height = word_size * 1.06;

    let height = word_height + sentence.size().y + detail_height + 2.0 * gap;
    let mut top = inner.center().y - height / 2.0;

    let icon_side = word_size * 0.86;
    let row_width = icon_side + word_size * 0.22 + word.size().x;
    let row = Rect::from_min_size(pos2(inner.center().x - row_width / 2.0, top), vec2(row_width, word_height));
    let icon = Rect::from_min_size(pos2(row.left(), row.center().y - icon_side / 2.0), vec2(icon_side, icon_side));
    shapes::verdict(painter, shape, icon, colour);
    place(painter, word, row, Align2::RIGHT_CENTER);
    top = row.bottom() + gap;
    let block = Rect::from_min_size(pos2(inner.left(), top), vec2(inner.width(), sentence.size().y));
    place(painter, sentence, block, Align2::CENTER_TOP);
    let last = Rect::from_min_size(pos2(inner.left(), block.bottom() + gap), vec2(inner.width(), detail_height));
    place(painter, detail, last, Align2::CENTER_TOP);
}

/// The same where sixteen lanes share what a drawer leaves of a small window: what to do goes before large letters, and the
/// code stands beside the word.
fn paint_low(
    painter: &Painter,
    rect: Rect,
    shape: Verdict,
    colour: Color32,
    word: &str,
    sentence: &str,
    detail: &[String],
) {
    let word_size = (rect.height() * 0.28).clamp(size::SMALL, size::LARGE);
    let (mut row, rest) = rect.split_top_bottom_at_y(rect.top() + word_size * 1.1);
    let icon = Rect::from_min_size(row.min, vec2(word_size, row.height()));
    shapes::verdict(painter, shape, icon.shrink(1.0), colour);
    row.min.x = icon.right() + word_size * 0.3;
    let word = place(painter, line(painter, word, Pen::bold(word_size, colour)), row, Align2::LEFT_CENTER);
    row.min.x = word.right() + word_size * 0.5;
    let detail = details(painter, detail, Pen::regular(size::SMALLEST + 1.0, colour), row.width());
    place(painter, detail, row, Align2::RIGHT_CENTER);
    let sentence = fit_block(painter, sentence, Pen::regular(size::BODY, colour), rest.size(), Align::LEFT);
    place(painter, sentence, rest, Align2::LEFT_CENTER);
}

/// What is kept free of text at a verdict's sides, above and below; small tiles need the last point of their width.
fn margin(rect: Rect) -> egui::Vec2 {
    let side = if rect.width() < 320.0 { 6.0 } else { (rect.width() * 0.05).min(28.0) };
    vec2(side, (rect.height() * 0.05).min(20.0))
}

/// As many of `parts` as fit one line, the first always.
fn details(painter: &Painter, parts: &[String], pen: Pen, width: f32) -> std::sync::Arc<egui::Galley> {
    for count in (2..=parts.len()).rev() {
        let galley = line(painter, &parts[..count].join(" · "), pen);
        if galley.size().x <= width {
            return galley;
        }
    }
    fit_line(painter, parts.first().map_or("", String::as_str), pen, width)
}

fn quiet_size(rect: Rect) -> f32 {
    (rect.height() * 0.09).clamp(26.0, 48.0)
}

fn paint_quiet(painter: &Painter, rect: Rect, icon: Option<fn(&Painter, Rect, Color32)>, text: &str, pen: Pen) {
    let inner = rect.shrink2(vec2(rect.width() * 0.05, rect.height() * 0.08));
    let icon_side = if icon.is_some() { (rect.height() * 0.26).min(64.0) } else { 0.0 };
    let room = vec2(inner.width(), inner.height() - icon_side);
    let galley = fit_block(painter, text, pen, room, Align::Center);
    let height = icon_side + galley.size().y;
    let top = inner.center().y - height / 2.0;
    if let Some(icon) = icon {
        let place = Rect::from_min_size(pos2(inner.center().x - icon_side / 2.0, top), vec2(icon_side, icon_side));
        icon(painter, place, pen.colour);
    }
    let block = Rect::from_min_size(pos2(inner.left(), top + icon_side), vec2(inner.width(), galley.size().y));
    place(painter, galley, block, Align2::CENTER_TOP);
}
