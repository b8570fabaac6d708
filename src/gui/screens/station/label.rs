//! A lane's label below the lanes: what it looks like, and the form for another copy of it.

use egui::load::SizedTexture;
use egui::{
    Align, ColorImage, Image, Layout, Margin, Rect, Role, TextureHandle, TextureOptions, Ui, WidgetInfo, pos2, vec2,
};

use crate::audit::event::LabelStatus;
use crate::domain::{LaneNumber, RulingReason, RunId};
use crate::gui::screens::{View, say};
use crate::gui::theme::{Paint, Weight, font, size};
use crate::gui::widgets::button::Button;
use crate::runner::view::{Command, LabelView, LaneState};

use super::Message;
use super::drawer::{caption, head, paragraph, regular};

/// Between two buttons.
const GAP: f32 = 14.0;
/// Dots are drawn this large at most.
const LARGEST: f32 = 1.5;

/// Which label, and why another copy of it is wanted.
#[derive(Debug, PartialEq)]
pub struct LabelForm {
    run: RunId,
    reason: String,
    /// Somebody wanted one without saying why.
    fault: bool,
}

impl LabelForm {
    pub fn new(run: RunId) -> LabelForm {
        LabelForm { run, reason: String::new(), fault: false }
    }

    /// The command, or nothing: then the form says what is wrong. What was typed is used up.
    pub fn submit(&mut self) -> Option<Command> {
        let reason = self.reason.trim().parse::<RulingReason>();
        self.fault = reason.is_err();
        let reason = reason.ok()?;
        self.reason.clear();
        Some(Command::Reprint { run: self.run, reason })
    }
}

/// The run whose label the lane has.
pub fn run_in(view: &View, lane: LaneNumber) -> Option<RunId> {
    let lane = view.snapshot.lanes.iter().find(|known| known.number == lane)?;
    match &lane.state {
        LaneState::Finished { run, label, .. } if *label != Some(LabelStatus::None) => Some(*run),
        _ => None,
    }
}

/// The button that leads here, where the lane has a label: beside the one that closes the lane's details. Returns
/// how much room it takes there.
pub fn open(ui: &Ui, view: &View, lane: LaneNumber, label: Option<LabelStatus>, messages: &mut Vec<Message>) -> f32 {
    if label == Some(LabelStatus::None) {
        return 0.0;
    }
    let (text, close) = (say!(view, "label-open"), say!(view, "button-close"));
    let button = Button::new(&text).key("Shift+F3");
    let (width, closes) = (button.width(ui), Button::new(&close).key("Esc").width(ui));
    let row = ui.available_rect_before_wrap();
    let right = row.right() - closes - GAP;
    let at = Rect::from_min_max(pos2(right - width, row.top()), pos2(right, row.top() + size::TOUCH));
    if button.at(ui, view.theme, "label", at).clicked() {
        messages.push(Message::Label(lane));
    }
    width + GAP
}

/// So that what is drawn can be read.
pub fn height(available: f32) -> f32 {
    (available * 0.4).clamp(240.0, 380.0)
}

/// Returns whether the text field has the focus.
pub fn show(ui: &mut Ui, view: &View, form: &mut LabelForm, messages: &mut Vec<Message>) -> bool {
    let Some(label) = view.snapshot.label.as_ref().filter(|label| label.run == form.run) else {
        head(ui, view, &say!(view, "label-title"), messages);
        paragraph(ui, view, &say!(view, "label-drawing"));
        return false;
    };
    let unit = label.serial.as_ref().map_or_else(|| say!(view, "unknown-unit"), ToString::to_string);
    head(ui, view, &format!("{} · {unit}", say!(view, "label-title")), messages);
    let mut typing = false;
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing = vec2(24.0, 6.0);
        picture(ui, view, label, &unit);
        ui.with_layout(Layout::top_down(Align::LEFT), |ui| typing = beside(ui, view, form, label, messages));
    });
    typing
}

fn picture(ui: &mut Ui, view: &View, label: &LabelView, unit: &str) {
    let dots = &label.picture;
    let id = ui.scope_id().with("label picture");
    let of = (label.run, label.copy, dots.width, dots.height);
    let known = ui.data(|data| data.get_temp::<((RunId, u32, usize, usize), TextureHandle)>(id));
    let texture = match known.filter(|(known, _)| *known == of) {
        Some((_, texture)) => texture,
        None => {
            let image = ColorImage::from_gray([dots.width, dots.height], &dots.grey);
            let texture = ui.ctx().load_texture("label", image, TextureOptions::LINEAR);
            ui.data_mut(|data| data.insert_temp(id, (of, texture.clone())));
            texture
        }
    };
    let own = texture.size_vec2();
    let room = vec2(ui.available_width() * 0.55, ui.available_height() - 8.0);
    let scale = (room.x / own.x).min(room.y / own.y).min(LARGEST);
    let frame = egui::Frame::new().stroke(view.theme.hairline()).inner_margin(Margin::same(2));
    let drawn = frame.show(ui, |ui| ui.add(Image::from_texture(SizedTexture::new(texture.id(), own * scale))));
    let spoken = say!(view, "a11y-label-picture", unit = unit);
    drawn.inner.widget_info(|| WidgetInfo::labeled(Role::Image, true, &spoken));
}

/// Returns whether the text field has the focus.
fn beside(ui: &mut Ui, view: &View, form: &mut LabelForm, label: &LabelView, messages: &mut Vec<Message>) -> bool {
    let state = match label.status {
        LabelStatus::Printed if label.confirmed => say!(view, "label-is-confirmed"),
        LabelStatus::Printed => say!(view, "label-is-printed"),
        LabelStatus::Pending => say!(view, "label-is-pending"),
        LabelStatus::Failed => say!(view, "label-is-failed"),
        LabelStatus::None => say!(view, "label-is-none"),
    };
    paragraph(ui, view, &state);
    if label.copy > 1 {
        let void = label.copy.saturating_sub(1);
        caption(ui, view, &say!(view, "label-copy", copy = label.copy, void = void));
    }
    if label.status != LabelStatus::Printed {
        return false;
    }
    let name = ui.label(regular(view, &say!(view, "label-reason")));
    let edit = egui::TextEdit::singleline(&mut form.reason)
        .font(font(Weight::Regular, size::BODY))
        .desired_width(ui.available_width() - 24.0)
        .char_limit(200)
        .margin(Margin::symmetric(10, 10))
        .min_size(vec2(200.0, size::TOUCH));
    let edit = ui.add(edit).labelled_by(name.id);
    let entered = edit.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
    let ink = Paint { fill: view.theme.ink, text: view.theme.surface };
    let text = say!(view, "label-reprint");
    if Button::new(&text).filled(ink).show(ui, view.theme).clicked() || entered {
        messages.push(Message::Reprint);
    }
    if form.fault {
        let text = egui::RichText::new(say!(view, "label-reason-rule"));
        ui.label(text.font(font(Weight::Bold, size::BODY)).color(view.theme.fail.fill));
    }
    edit.has_focus()
}
