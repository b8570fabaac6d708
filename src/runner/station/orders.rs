//! What people ask of the station: the window's and the scanner's commands.

use std::sync::Arc;

use super::{Errand, LaneNow, Station, desk};
use crate::domain::{Failure, LaneNumber, ReasonCode, RunId, Slip, Verdict};
use crate::provisioning::Run;
use crate::provisioning::matching::match_profile;
use crate::runner::driver::{Order, prints_by_itself, waits_for_scan};
use crate::runner::view::Command;
use crate::runner::{batches, errands};

impl Station {
    pub(super) async fn command(&mut self, command: Command) {
        let touches_units = matches!(
            command,
            Command::Scan(_) | Command::SettleLabel { .. } | Command::Reprint { .. } | Command::ResumeHeld
        );
        let of_the_desk = desk::is_asked(&command);
        let of_settings = matches!(command, Command::Settings(_));
        let writes = touches_units
            || of_the_desk
            || of_settings
            || matches!(command, Command::OpenBatch { .. } | Command::CloseBatch);
        if let (Some(failure), true) = (self.blocked.clone(), touches_units || (writes && self.log_is_away())) {
            if of_the_desk {
                self.desk_answers(Err(failure.clone()));
            }
            if of_settings {
                return self.settings_refused(failure);
            }
            self.view.notice = Some(failure);
            return;
        }
        self.desk.touch();
        if of_the_desk {
            return self.at_the_desk(command).await;
        }
        if let Command::Settings(order) = command {
            return self.settings_ordered(order).await;
        }
        // Whoever stops something may be anybody.
        if !matches!(command, Command::Stop | Command::Pause | Command::WrongBoard { .. } | Command::Here)
            && let Some(nobody) = self.nobody_operates()
        {
            self.view.notice = Some(nobody);
            return;
        }
        let result = match command {
            Command::Stop => Ok(()),
            Command::Pause => {
                self.view.paused = true;
                Ok(())
            }
            Command::Continue => {
                self.view.paused = false;
                self.begin_waiting().await;
                Ok(())
            }
            Command::Scan(text) => self.scanned(text).await,
            Command::OpenBatch { name, profile, planned } => {
                let result = batches::open_batch(&self.shared.log, &self.config, name, &profile, planned).await;
                self.count().await;
                result
            }
            Command::CloseBatch => {
                let result = batches::close_batch(&self.shared.log).await.map(|_| ());
                if let (Ok(()), Some(keeper)) = (&result, &self.keeper) {
                    keeper.checkpoint_soon();
                }
                self.count().await;
                result
            }
            Command::Retry(lane) => {
                if let Some(now) = self.shown.get(&lane)
                    && (now.refused.is_some() || now.run.as_ref().is_some_and(|run| may_retry(run)))
                {
                    self.begin_again(now.arrival).await;
                }
                Ok(())
            }
            Command::WrongBoard { lane, run } => self.wrong_board(lane, run),
            Command::SettleLabel { run, printed } => self.settle(run, printed).await,
            Command::ShowLabel(run) => self.show_label(run).await,
            Command::Reprint { run, reason } => self.reprint(run, &reason).await,
            Command::ResumeHeld => self.finish_all().await,
            Command::Here
            | Command::Badge(_)
            | Command::SignIn { .. }
            | Command::BadgePin(_)
            | Command::SignOut
            | Command::People(_)
            | Command::Settings(_) => return,
        };
        self.view.notice = result.err();
    }

    pub(super) async fn begin_waiting(&mut self) {
        let waiting: Vec<_> = self.boards.iter().filter(|(_, b)| b.waiting).map(|(a, _)| *a).collect();
        for arrival in waiting {
            self.begin_again(arrival).await;
        }
    }

    pub(super) async fn begin_again(&mut self, arrival: u64) {
        let Some(board) = self.boards.get(&arrival) else { return };
        let (Some(lane), device) = (board.lane, board.device.clone()) else { return };
        if let Ok(profile) = match_profile(&self.config.profiles, &device) {
            let profile = profile.name.clone();
            self.shared.presence.leave(arrival);
            self.begin(arrival, lane, &profile).await;
        }
    }

    /// `SLIP-n` asks for a label, `LANE-n` says whose serial number comes next; anything else is the
    /// serial number that the one waiting lane, or the one just named, waits for.
    async fn scanned(&mut self, text: String) -> Result<(), Failure> {
        if let Some(slip) = text.strip_prefix("SLIP-").and_then(|slip| slip.parse::<Slip>().ok()) {
            return self.slip(&slip).await;
        }
        if self.confirmed_by(&text).await? {
            return Ok(());
        }
        let waiting: Vec<_> = self.shown.iter().filter(|(_, now)| self.waits_for_scan(now)).collect();
        if let Some(number) = text.strip_prefix("LANE-") {
            let named = waiting.iter().find(|(lane, _)| lane.to_string() == number);
            // The choice holds for the board that waits there now, and for no other.
            self.scan_for = named.and_then(|(_, now)| now.run.as_ref()).map(|run| run.id);
            let unknown = || Failure::new(ReasonCode::SCAN_UNEXPECTED, "that lane waits for no serial number");
            return self.scan_for.map(|_| ()).ok_or_else(|| unknown().with("scan", &text));
        }
        let chosen = self.scan_for.take();
        let lane = match (chosen, waiting.as_slice()) {
            (Some(chosen), waiting) => {
                let named = waiting.iter().find(|(_, now)| now.run.as_ref().is_some_and(|run| run.id == chosen));
                let gone = || Failure::new(ReasonCode::SCAN_UNEXPECTED, "the board that was named waits no more");
                named.map(|(_, now)| *now).ok_or_else(|| gone().with("scan", &text))?
            }
            (None, []) if self.waits_for_labels() => return Err(self.other_label(&text).await?),
            (None, []) => {
                let cause = "no lane waits for a serial number";
                return Err(Failure::new(ReasonCode::SCAN_UNEXPECTED, cause).with("scan", text));
            }
            (None, [(_, only)]) => *only,
            // Nobody but the person with the scanner knows whose label was read.
            (None, several) => {
                let lanes: Vec<String> = several.iter().map(|(lane, _)| lane.to_string()).collect();
                let cause = format!("lanes {} wait for a serial number", lanes.join(", "));
                return Err(Failure::new(ReasonCode::SCAN_AMBIGUOUS, cause).with("lanes", lanes.join(", ")));
            }
        };
        if let Some(orders) = self.boards.get(&lane.arrival).and_then(|board| board.orders.clone()) {
            // However much is scanned: a departure or a twin still has room to be told.
            if orders.capacity() > 2 {
                let _ = orders.try_send(Order::Scanned(text));
            }
        }
        Ok(())
    }

    /// The run ends, unless it has claimed the board's identity by then: it looks at that itself.
    fn wrong_board(&mut self, lane: LaneNumber, asked: RunId) -> Result<(), Failure> {
        let now = self.shown.get(&lane);
        let run = now.and_then(|now| now.run.as_ref()).filter(|run| run.id == asked);
        let before_the_claim = run.is_some_and(|run| run.claim.is_none() && run.sealed.is_none());
        let board = now.and_then(|now| self.boards.get(&now.arrival)).and_then(|board| board.orders.as_ref());
        let Some(orders) = board.filter(|_| before_the_claim) else { return Err(too_late(lane)) };
        if self.withdrawn.contains(&asked) {
            return Ok(());
        }
        let cause = format!("said at lane {lane}, before anything was claimed");
        // As with scans: it may be passed over, and a departure or a twin may not.
        if orders.capacity() <= 2
            || orders.try_send(Order::Withdraw(Failure::new(ReasonCode::WRONG_BOARD, cause))).is_err()
        {
            return Err(too_late(lane));
        }
        self.withdrawn.insert(asked);
        Ok(())
    }

    /// What was said of a board may have come a moment too late.
    pub(super) fn see_withdrawn(&mut self, run: &Run) {
        let ended = run.sealed.as_ref().and_then(|sealed| sealed.reason.as_ref()).map(|reason| reason.code);
        if self.withdrawn.remove(&run.id) && run.claim.is_some() && ended != Some(ReasonCode::WRONG_BOARD) {
            self.view.notice = Some(too_late(run.lane));
        }
    }

    fn waits_for_scan(&self, now: &LaneNow) -> bool {
        let Some(run) = &now.run else { return false };
        self.profiles.get(&run.profile).is_some_and(|profile| waits_for_scan(run, profile))
    }

    async fn slip(&mut self, slip: &Slip) -> Result<(), Failure> {
        // Whoever scans it has it in their hands.
        let run = errands::run_of_slip_as_it_is(&self.shared, slip).await?;
        let number = run.slip.map(|number| number.to_string());
        self.view.pulled.retain(|pulled| pulled.args.get("slip") != number.as_ref());
        let run = errands::run_of_slip(&self.shared, slip).await?;
        if self.errands.get(&run.id) == Some(&Errand::Held) {
            // Its PASS is in the log, and not yet told: the label follows once it is.
            self.slips.insert(run.id);
        } else if !self.is_driven(run.id) {
            self.print(run);
        }
        // Else it was scanned twice: its label is on the way.
        Ok(())
    }

    async fn settle(&mut self, run: RunId, printed: bool) -> Result<(), Failure> {
        let Some(known) = self.spool.question(run) else { return Ok(()) };
        if self.is_driven(run) {
            return Err(Failure::new(ReasonCode::NOT_NOW, "the unit is being finished: answer again in a moment"));
        }
        let settled = Arc::new(errands::settle(&self.shared.log, &known, printed).await?);
        self.spool.note(&settled);
        if let Some(now) = self.shown.values_mut().find(|now| now.run.as_ref().is_some_and(|shown| shown.id == run)) {
            now.run = Some(settled.clone());
        }
        if !printed && !prints_by_itself(&settled) {
            // The label of a unit that was HELD comes on scanning its slip, or on being asked for here.
            self.print(Run::clone(&settled));
        } else {
            self.print_next();
        }
        Ok(())
    }
}

fn too_late(lane: LaneNumber) -> Failure {
    let cause = "the run had claimed the board's identity, or was over";
    Failure::new(ReasonCode::WRONG_BOARD_LATE, cause).with("lane", lane)
}

/// What went wrong outside of the unit may be tried again with the same board.
fn may_retry(run: &Run) -> bool {
    matches!(run.verdict(), Some(Verdict::Error | Verdict::Aborted))
}
