//! Text that fits the place it is given.

use std::sync::Arc;

use egui::text::{LayoutJob, TextFormat, TextWrapping};
use egui::{Align, Align2, Color32, Galley, Painter, Rect, Vec2};

use crate::gui::theme::{Weight, font, size};

use super::wrap::Phrases;

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

/// One line whose end matters more than its beginning (serial numbers): shrinks to `width`, then loses
/// its first characters.
pub fn fit_end(painter: &Painter, text: &str, pen: Pen, width: f32) -> Arc<Galley> {
    let fitted = fit_line(painter, text, pen, width);
    if !fitted.elided {
        return fitted;
    }
    let pen = pen.at(size::SMALLEST.min(pen.size));
    let starts = text.char_indices().map(|(at, _)| at).skip(1);
    let shortened = starts.map(|at| line(painter, &format!("…{}", &text[at..]), pen));
    shortened.into_iter().find(|galley| galley.size().x <= width).unwrap_or(fitted)
}

/// Wrapped text in the largest of the sentence sizes, at most `pen.size`, that fits
/// `space`; two rows rather than three, and three rather than more, while they are large enough. What fits at no size is cut with an
/// ellipsis.
pub fn fit_block(painter: &Painter, text: &str, pen: Pen, space: Vec2, align: Align) -> Arc<Galley> {
    // Measured once and scaled, with a little to spare for rounding: a layout of every phrase in every
    // size would cost far more than the one that is drawn.
    const PROBE: f32 = 32.0;
    let phrases = Phrases::new(text, |phrase| line(painter, phrase, pen.at(PROBE)).size().x * 1.01 / PROBE);
    let fitting = |most: usize, least: f32| {
        let sizes = size::SENTENCES.into_iter().filter(|size| *size <= pen.size && *size >= least);
        sizes.filter_map(|size| Some((size, phrases.wrap(space.x / size)?))).find_map(|(size, rows)| {
            let fits = rows.len() <= most && rows.len() as f32 * line_height(size) <= space.y;
            fits.then(|| layout(painter, &rows.join("\n"), pen.at(size), align, f32::INFINITY, usize::MAX))
        })
    };
    if let Some(galley) =
        fitting(2, size::LARGE).or_else(|| fitting(3, size::SMALL)).or_else(|| fitting(usize::MAX, 0.0))
    {
        return galley;
    }
    let rows = (space.y / line_height(size::SMALLEST)).floor() as usize;
    layout(painter, text, pen.at(size::SMALLEST), align, space.x, rows.max(1))
}

/// Puts `galley` into `rect`.
pub fn place(painter: &Painter, galley: Arc<Galley>, rect: Rect, align: Align2) -> Rect {
    let target = align.align_size_within_rect(galley.size(), rect);
    painter.galley(target.min - galley.rect.min.to_vec2(), galley, Color32::PLACEHOLDER);
    target
}

/// The typeface's own rows touch one another.
fn line_height(size: f32) -> f32 {
    (size * 1.25).round()
}

fn layout(painter: &Painter, text: &str, pen: Pen, halign: Align, width: f32, rows: usize) -> Arc<Galley> {
    let mut format = TextFormat::simple(font(pen.weight, pen.size), pen.colour);
    if text.contains('\n') || rows != 1 && width.is_finite() {
        format.line_height = Some(line_height(pen.size));
    }
    let mut job = LayoutJob::single_section(text.to_owned(), format);
    job.wrap =
        TextWrapping { max_width: width, max_rows: rows, break_anywhere: rows == 1, overflow_character: Some('…') };
    job.halign = halign;
    painter.layout_job(job)
}
