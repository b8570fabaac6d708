//! Text that fits the place it is given.

use std::sync::Arc;

use egui::text::{LayoutJob, TextFormat, TextWrapping};
use egui::{Align, Align2, Color32, Galley, Painter, Rect, Vec2};

use crate::gui::theme::{Weight, font, size};

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub struct Pen {
    pub weight: Weight,
    /// Points. Where a text is fitted this is the largest size that may be taken.
    pub size: f32,
    pub colour: Color32,
}

impl Pen {
    pub fn regular(size: f32, colour: Color32) -> Pen {
        Pen { weight: Weight::Regular, size, colour }
    }

    pub fn bold(size: f32, colour: Color32) -> Pen {
        Pen { weight: Weight::Bold, size, colour }
    }

    fn at(self, size: f32) -> Pen {
        Pen { size, ..self }
    }
}

/// One line, as wide as it gets.
pub fn line(painter: &Painter, text: &str, pen: Pen) -> Arc<Galley> {
    layout(painter, text, pen, Align::LEFT, f32::INFINITY, usize::MAX)
}

/// One line that shrinks to `width`, and at the smallest legible size is cut with an ellipsis.
pub fn fit_line(painter: &Painter, text: &str, pen: Pen, width: f32) -> Arc<Galley> {
    let natural = line(painter, text, pen);
    if natural.size().x <= width {
        return natural;
    }
    let size = (pen.size * width / natural.size().x).floor().max(size::SMALLEST.min(pen.size));
    layout(painter, text, pen.at(size), Align::LEFT, width, 1)
}

/// Wrapped and centred text in the largest of the sentence sizes, at most `pen.size`, that fits
/// `space`; rows of about equal width. What fits at no size is cut with an ellipsis.
pub fn fit_block(painter: &Painter, text: &str, pen: Pen, space: Vec2) -> Arc<Galley> {
    for size in size::SENTENCES.into_iter().filter(|size| *size <= pen.size) {
        let galley = layout(painter, text, pen.at(size), Align::Center, space.x, usize::MAX);
        if galley.size().y <= space.y && galley.size().x <= space.x {
            return balance(painter, text, pen.at(size), galley);
        }
    }
    let pen = pen.at(size::SMALLEST);
    let row = line(painter, text, pen).size().y.max(1.0);
    layout(painter, text, pen, Align::Center, space.x, ((space.y / row).floor() as usize).max(1))
}

/// Puts `galley` into `rect`.
pub fn place(painter: &Painter, galley: Arc<Galley>, rect: Rect, align: Align2) -> Rect {
    let target = align.align_size_within_rect(galley.size(), rect);
    painter.galley(target.min - galley.rect.min.to_vec2(), galley, Color32::PLACEHOLDER);
    target
}

/// The narrowest layout with the same number of rows: no orphaned last word.
fn balance(painter: &Painter, text: &str, pen: Pen, galley: Arc<Galley>) -> Arc<Galley> {
    let rows = galley.rows.len();
    if rows < 2 {
        return galley;
    }
    let (mut narrow, mut wide) = (galley.size().x / 2.0, galley.size().x.ceil());
    let mut best = galley;
    for _ in 0..5 {
        let middle = ((narrow + wide) / 2.0).round();
        let tried = layout(painter, text, pen, Align::Center, middle, usize::MAX);
        if tried.rows.len() == rows && tried.size().x <= middle {
            best = tried;
            wide = middle;
        } else {
            narrow = middle;
        }
    }
    best
}

fn layout(painter: &Painter, text: &str, pen: Pen, halign: Align, width: f32, rows: usize) -> Arc<Galley> {
    let format = TextFormat::simple(font(pen.weight, pen.size), pen.colour);
    let mut job = LayoutJob::single_section(text.to_owned(), format);
    job.wrap =
        TextWrapping { max_width: width, max_rows: rows, break_anywhere: rows == 1, overflow_character: Some('…') };
    job.halign = halign;
    painter.layout_job(job)
}
