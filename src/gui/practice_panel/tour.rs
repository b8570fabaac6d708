//! The guided tour of the practice line: five steps that a newcomer does with their own hands, each of
//! them done when the station shows it.

use std::collections::BTreeSet;

use egui::{Align2, Ui, vec2};

use super::heading;
use crate::domain::{RunId, Verdict};
use crate::gui::screens::{View, say};
use crate::gui::theme::size;
use crate::gui::widgets::button::Button;
use crate::gui::widgets::text::{Pen, fit_block, place};
use crate::runner::view::{LaneState, Snapshot};

/// How high the text of a step may be, points.
const TEXT: f32 = 96.0;

pub(super) struct Tour {
    step: Step,
    /// What had ended when this step began: no merit of this step.
    before: BTreeSet<RunId>,
}

/// What the newcomer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A good board passes.
    Pass,
    /// A bad one fails.
    Fail,
    /// It is taken out, and a good one put in.
    Replace,
    /// Without the cloud a board is HELD …
    Hold,
    /// … and finished when the cloud is back.
    Finish,
    Pause,
    Continue,
    Done,
}

impl Tour {
    pub(super) fn new(snapshot: &Snapshot) -> Tour {
        Tour { step: Step::Pass, before: ended(snapshot).map(|(run, _)| run).collect() }
    }

    /// Goes on when `snapshot` shows that the step is done.
    pub(super) fn watch(&mut self, snapshot: &Snapshot) {
        let fresh = |verdict| ended(snapshot).any(|(run, ended)| ended == verdict && !self.before.contains(&run));
        let red = ended(snapshot).any(|(_, verdict)| verdict == Verdict::Fail);
        let next = match self.step {
            Step::Pass if fresh(Verdict::Pass) => Step::Fail,
            Step::Fail if fresh(Verdict::Fail) => Step::Replace,
            Step::Replace if fresh(Verdict::Pass) && !red => Step::Hold,
            // The count follows the verdict, a moment later.
            Step::Hold if fresh(Verdict::Held) && snapshot.held > 0 => Step::Finish,
            Step::Finish if snapshot.held == 0 => Step::Pause,
            Step::Pause if snapshot.paused => Step::Continue,
            Step::Continue if !snapshot.paused => Step::Done,
            _ => return,
        };
        *self = Tour { step: next, ..Tour::new(snapshot) };
    }

    /// The step and what to do; true when the newcomer wants no more of it.
    pub(super) fn show(&self, ui: &mut Ui, view: &View) -> bool {
        let (at, text) = match self.step {
            Step::Pass => (1, say!(view, "practice-tour-pass")),
            Step::Fail => (2, say!(view, "practice-tour-fail")),
            Step::Replace => (3, say!(view, "practice-tour-replace")),
            Step::Hold => (4, say!(view, "practice-tour-hold")),
            Step::Finish => (4, say!(view, "practice-tour-finish")),
            Step::Pause => (5, say!(view, "practice-tour-pause")),
            Step::Continue => (5, say!(view, "practice-tour-continue")),
            Step::Done => (0, say!(view, "practice-tour-done")),
        };
        let (title, end) = match self.step {
            Step::Done => (say!(view, "practice-tour-over"), say!(view, "button-close")),
            _ => (say!(view, "practice-tour-step", step = at), say!(view, "practice-tour-end")),
        };
        heading(ui, view, &title);
        let (_, rect) = ui.allocate_space(vec2(ui.available_width(), TEXT));
        let pen = Pen::regular(size::BODY, view.theme.ink);
        let block = fit_block(ui.painter(), &text, pen, rect.size(), egui::Align::Min);
        place(ui.painter(), block, rect, Align2::LEFT_TOP);
        // For who does not see it, as well.
        let spoken = ui.interact(rect, ui.scope_id().with("tour"), egui::Sense::hover());
        spoken.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &text));
        Button::new(&end).text(size::SMALL).show(ui, view.theme).clicked()
    }
}

/// What the lanes show as ended.
fn ended(snapshot: &Snapshot) -> impl Iterator<Item = (RunId, Verdict)> {
    snapshot.lanes.iter().filter_map(|lane| match &lane.state {
        LaneState::Finished { run, verdict, .. } => Some((*run, *verdict)),
        _ => None,
    })
}
