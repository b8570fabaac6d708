//! Pills that say whether something the station needs is well.

use egui::{Align2, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, vec2};

use crate::domain::Verdict;
use crate::gui::theme::{Paint, Theme};

use super::shapes;
use super::text::{Pen, line, place};

/// How something is, in the order of how much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Unknown,
    Good,
    Bad,
}

pub struct Pill<'a> {
    pub text: &'a str,
    pub condition: Condition,
    /// Read aloud; says more than the pill has room for.
    pub spoken: &'a str,
    /// The size of its text, points.
    pub size: f32,
}

impl Pill<'_> {
    pub fn width(&self, ui: &Ui) -> f32 {
        let text = line(ui.painter(), self.text, Pen::regular(self.size, egui::Color32::PLACEHOLDER));
        (text.size().x + self.size * 2.6).ceil()
    }

    /// Within `rect`, which is a touch target high; the pill itself is lower.
    pub fn at(&self, ui: &Ui, theme: &Theme, id: &str, rect: Rect) -> Response {
        let response = ui.interact(rect, ui.scope_id().with(id), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, self.spoken));
        let painter = ui.painter();
        let pill = Rect::from_center_size(rect.center(), vec2(rect.width(), self.size * 2.1));
        let (paint, stroke) = match self.condition {
            Condition::Good => {
                let green = theme.mark(Verdict::Pass);
                (Paint { fill: theme.surface, text: green }, green)
            }
            Condition::Unknown => (Paint { fill: theme.surface, text: theme.muted }, theme.muted),
            Condition::Bad => (theme.error, theme.error.text),
        };
        painter.rect_filled(pill, pill.height() / 2.0, paint.fill);
        painter.rect_stroke(pill, pill.height() / 2.0, Stroke::new(1.2, stroke), StrokeKind::Inside);
        if response.has_focus() {
            let ring = Stroke::new(3.0, theme.accent);
            painter.rect_stroke(pill.expand(3.0), pill.height() / 2.0 + 3.0, ring, StrokeKind::Inside);
        }
        let side = self.size * 0.75;
        let dot = Rect::from_center_size(egui::pos2(pill.left() + self.size * 1.05, pill.center().y), vec2(side, side));
        match self.condition {
            Condition::Good => shapes::mark(painter, Verdict::Pass, dot, paint.text, paint.fill),
            Condition::Bad => shapes::mark(painter, Verdict::Error, dot, paint.text, paint.fill),
            Condition::Unknown => {
                painter.circle_stroke(dot.center(), side * 0.45, Stroke::new(1.5, paint.text));
            }
        }
        let mut inner = pill;
        inner.min.x = dot.right() + self.size * 0.4;
        place(painter, line(painter, self.text, Pen::regular(self.size, paint.text)), inner, Align2::LEFT_CENTER);
        response
    }
}
