//! The bar of steps over a tile.

use egui::{Color32, Painter, Rect, pos2, vec2};

use crate::gui::theme::Theme;

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steps {
    /// Of how many.
    pub count: usize,
    /// Steps that are through.
    pub done: usize,
    /// The colour of the step after those, if it has begun: running, or where the run ended.
    pub current: Option<Color32>,
}

pub fn steps(painter: &Painter, theme: &Theme, rect: Rect, steps: Steps) {
    let gap = 3.0;
    let count = steps.count.max(1) as f32;
    let width = (rect.width() - gap * (count - 1.0)) / count;
    for at in 0..steps.count {
        let left = rect.left() + at as f32 * (width + gap);
        let segment = Rect::from_min_size(pos2(left, rect.top()), vec2(width, rect.height()));
        let colour = match steps.current {
            _ if at < steps.done => theme.ink,
            Some(colour) if at == steps.done => colour,
            _ => theme.line,
        };
        painter.rect_filled(segment, rect.height() / 2.0, colour);
    }
}
