//! Buttons that show the key that does the same.

use egui::{Align2, AsIdSalt, Rect, Response, Role, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, vec2};

use crate::gui::theme::{Paint, Theme, size};

use super::text::{Pen, line, place};

/// What a button says.
#[derive(Debug, Clone)]
pub struct Button<'a> {
    /// The key that does the same, drawn as a key cap.
    pub key: Option<&'a str>,
    pub label: &'a str,
    /// Filled: what is meant to be pressed, or what is on.
    pub filled: Option<Paint>,
    /// The size of its text, points.
    pub text: f32,
}

impl<'a> Button<'a> {
    pub fn new(label: &'a str) -> Self {
        Button { key: None, label, filled: None, text: size::BODY }
    }

    pub fn key(self, key: &'a str) -> Self {
        Button { key: Some(key), ..self }
    }

    pub fn filled(self, paint: Paint) -> Self {
        Button { filled: Some(paint), ..self }
    }

    pub fn text(self, text: f32) -> Self {
        Button { text, ..self }
    }

    /// How wide it wants to be.
    pub fn width(&self, ui: &Ui) -> f32 {
        let label = line(ui.painter(), self.label, Pen::regular(self.text, egui::Color32::PLACEHOLDER));
        let key = self.key.map_or(0.0, |key| self.key_width(ui, key) + self.text * 0.5);
        (label.size().x + key + self.text * 1.5).ceil().max(size::TOUCH)
    }

    /// At a place that the caller has worked out; `id` makes it reachable by keyboard and by name. Where it is drawn
    /// lower than a touch target, it is hit like one all the same.
    pub fn at(&self, ui: &Ui, theme: &Theme, id: impl AsIdSalt, rect: Rect) -> Response {
        let target = rect.expand2((Vec2::splat(size::TOUCH) - rect.size()).max(Vec2::ZERO) / 2.0);
        let response = ui.interact(target, ui.scope_id().with(id), Sense::click());
        let spoken = match self.key {
            Some(key) => format!("{} ({key})", self.label),
            None => self.label.to_owned(),
        };
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &spoken));
        self.paint(ui, theme, rect, &response);
        response
    }

    /// In the flow of `ui`, a touch target high.
    pub fn show(&self, ui: &mut Ui, theme: &Theme) -> Response {
        let (id, rect) = ui.allocate_space(vec2(self.width(ui), size::TOUCH));
        self.at(ui, theme, id, rect)
    }

    fn key_width(&self, ui: &Ui, key: &str) -> f32 {
        line(ui.painter(), key, Pen::bold(self.text, egui::Color32::PLACEHOLDER)).size().x
    }

    fn paint(&self, ui: &Ui, theme: &Theme, rect: Rect, response: &Response) {
        let painter = ui.painter();
        let down = response.is_pointer_button_down_on();
        let paint = self.filled.unwrap_or(Paint { fill: theme.surface, text: theme.ink });
        let fill = match (self.filled, response.hovered() || down) {
            (None, true) => theme.ground,
            _ => paint.fill,
        };
        painter.rect_filled(rect, size::RADIUS * 0.8, fill);
        painter.rect_stroke(rect, size::RADIUS * 0.8, Stroke::new(1.5, theme.ink), StrokeKind::Inside);
        if response.has_focus() || down {
            let ring = Stroke::new(3.0, theme.accent);
            painter.rect_stroke(rect.expand(3.0), size::RADIUS, ring, StrokeKind::Inside);
        }
        let pad = self.text * 0.75;
        let mut inner = rect.shrink2(vec2(pad.min(rect.width() * 0.1), 0.0));
        match self.key {
            Some(key) => {
                let cap =
                    place(painter, line(painter, key, Pen::bold(self.text, paint.text)), inner, Align2::LEFT_CENTER);
                inner.min.x = cap.right() + self.text * 0.5;
                let label =
                    super::text::fit_line(painter, self.label, Pen::regular(self.text, paint.text), inner.width());
                place(painter, label, inner, Align2::LEFT_CENTER);
            }
            None => {
                let label =
                    super::text::fit_line(painter, self.label, Pen::regular(self.text, paint.text), inner.width());
                place(painter, label, inner, Align2::CENTER_CENTER);
            }
        }
    }
}
