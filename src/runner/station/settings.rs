//! Station settings, for an administrator: the file is changed by an event, a lane is taught its port, a label is
//! printed to see that it comes out, the targets are looked at. No lane waits for any of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Station;
use crate::audit::LineEvent;
use crate::config::{self, Change, Edited, Setting, Settings};
use crate::domain::{Device, Failure, LaneNumber, ReasonCode, Role, Sha256};
use crate::ports::{Examiner, SettingsFile};
use crate::runner::doctor::{Finding, examine_targets};
use crate::runner::equipment::Equipment;
use crate::runner::labels;
use crate::runner::people::SignedIn;
use crate::runner::view::{
    Answer, Health, ProfileSetting, SettingsOrder, SettingsView, TargetsLook, TeachView, TestLabel,
};

/// How long a board is waited for that is to teach a lane its port.
const TEACHING: Duration = Duration::from_secs(60);

pub(super) struct Settling {
    file: Option<Arc<dyn SettingsFile>>,
    examiner: Option<Arc<dyn Examiner>>,
    /// The file as it was read last, while an administrator looks at it.
    open: Option<Open>,
    /// Changed here, and taken up by the next start.
    pending: BTreeSet<Setting>,
    answers: u64,
    answer: Option<Answer>,
    teaching: Option<Teaching>,
    test: TestLabel,
    look: TargetsLook,
    done: (mpsc::Sender<Done>, mpsc::Receiver<Done>),
}

struct Open {
    text: String,
    settings: Settings,
    /// Profiles' files that are at hand.
    files: Vec<String>,
}

struct Teaching {
    lane: LaneNumber,
    until: Instant,
    stage: TeachView,
}

/// What was begun for an administrator, and is over.
pub(super) enum Done {
    TestLabel(Box<SignedIn>, Result<(), Failure>),
    Targets(Vec<Finding>),
}

impl Settling {
    pub fn new(equipment: &Equipment) -> Self {
        Self {
            file: equipment.settings.clone(),
            examiner: equipment.examiner.clone(),
            open: None,
            pending: BTreeSet::new(),
            answers: 0,
            answer: None,
            teaching: None,
            test: TestLabel::None,
            look: TargetsLook::None,
            done: mpsc::channel(4),
        }
    }

    pub async fn done(&mut self) -> Done {
        match self.done.1.recv().await {
            Some(done) => done,
            // A sender is kept here.
            None => std::future::pending().await,
        }
    }

    /// When nobody waits for a board any more.
    pub fn teaching_ends(&self) -> Option<Instant> {
        self.teaching.as_ref().filter(|it| it.stage.waits()).map(|it| it.until)
    }

    pub fn nobody_came(&mut self) {
        if let Some(teaching) = self.teaching.as_mut().filter(|it| it.stage.waits()) {
            teaching.stage = TeachView::NobodyCame;
        }
    }

    fn close(&mut self) {
        (self.open, self.teaching, self.answer) = (None, None, None);
        if !matches!(self.test, TestLabel::Printing) {
            self.test = TestLabel::None;
        }
        if !matches!(self.look, TargetsLook::Looking) {
            self.look = TargetsLook::None;
        }
    }

    fn answered(&mut self, result: Result<(), Failure>) {
        self.answers += 1;
        self.answer = Some(Answer { number: self.answers, result });
    }

    fn file(&self) -> Result<Arc<dyn SettingsFile>, Failure> {
        let none = || Failure::new(ReasonCode::NOT_NOW, "this station was configured by no file");
        self.file.clone().ok_or_else(none)
    }

    fn opened(&self) -> Result<&Open, Failure> {
        self.open.as_ref().ok_or_else(|| Failure::new(ReasonCode::NOT_NOW, "the settings are not open"))
    }
}

impl Station {
    pub(super) fn settings_refused(&mut self, failure: Failure) {
        if self.settling.open.is_none() {
            // Nothing is open that could say it.
            self.view.notice = Some(failure.clone());
        }
        self.settling.answered(Err(failure));
    }

    /// What an administrator has opened is for nobody else.
    pub(super) fn close_settings_behind_whoever_left(&mut self) {
        if self.settling.open.is_some() && self.settings_administrator().is_err() {
            self.settling.close();
        }
    }

    pub(super) fn settings_view(&self) -> Option<SettingsView> {
        let Open { settings, files, .. } = self.settling.open.as_ref()?;
        let profile = |file: &String| ProfileSetting { file: file.clone(), taken: settings.profiles.contains(file) };
        Some(SettingsView {
            file: self.settling.file.as_ref()?.path().display().to_string(),
            lanes: settings.lanes.clone(),
            profiles: files.iter().map(profile).collect(),
            printer: settings.printer.clone(),
            language: settings.language.clone(),
            theme: settings.theme,
            pending: self.settling.pending.iter().copied().collect(),
            answer: self.settling.answer.clone(),
            teaching: self.settling.teaching.as_ref().map(|it| (it.lane, it.stage.clone())),
            prints: self.shared.printer.is_some(),
            test: self.settling.test.clone(),
            targets: self.config.targets.iter().map(|target| target.name.clone()).collect(),
            can_look: self.settling.examiner.is_some(),
            look: self.settling.look.clone(),
        })
    }

    pub(super) async fn settings_ordered(&mut self, order: SettingsOrder) {
        if order == SettingsOrder::Hide {
            return self.settling.close();
        }
        let result = match self.settings_administrator() {
            Ok(by) => self.settings_ordered_by(by, order).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &result
            && super::outage::is_watched(failure)
        {
            self.note_log(Err(failure.clone()));
        }
        match result {
            Ok(()) => self.settling.answered(Ok(())),
            Err(failure) => self.settings_refused(failure),
        }
    }

    fn settings_administrator(&self) -> Result<SignedIn, Failure> {
        let person = self.administrator()?;
        person.has_one_of(&[Role::Administrator])?;
        Ok(person)
    }

    async fn settings_ordered_by(&mut self, by: SignedIn, order: SettingsOrder) -> Result<(), Failure> {
        match order {
            SettingsOrder::Hide => Ok(()),
            SettingsOrder::Show => {
                let file = self.settling.file()?;
                let text = blocking(move || file.read()).await?;
                self.show_settings(text).await
            }
            SettingsOrder::Change(change) => self.change_setting(&by, change).await,
            SettingsOrder::Teach(lane) => {
                let known = self.settling.opened()?.settings.lanes.iter().any(|known| known.number == lane);
                let unknown = || Failure::new(ReasonCode::NOT_NOW, format!("the station's file has no lane {lane}"));
                known.then_some(()).ok_or_else(unknown)?;
                let stage = TeachView::Waiting { refused: None };
                self.settling.teaching = Some(Teaching { lane, until: Instant::now() + TEACHING, stage });
                Ok(())
            }
            SettingsOrder::TakePort => {
                let Some(Teaching { lane, stage: TeachView::Offered(port), .. }) = &self.settling.teaching else {
                    return Err(Failure::new(ReasonCode::NOT_NOW, "no board has shown a port"));
                };
                let change = Change::Port { lane: *lane, port: port.clone() };
                self.settling.teaching = None;
                self.change_setting(&by, change).await
            }
            SettingsOrder::StopTeaching => {
                self.settling.teaching = None;
                Ok(())
            }
            SettingsOrder::TestLabel => self.print_test_label(by).await,
            SettingsOrder::LookAtTargets => self.look_at_targets(),
        }
    }

    async fn show_settings(&mut self, text: String) -> Result<(), Failure> {
        let file = self.settling.file()?;
        let open = blocking(move || {
            let settings = Settings::of(file.path(), &text)?;
            let files = at_hand(&*file, &settings);
            Ok(Open { text, settings, files })
        });
        self.settling.open = Some(open.await?);
        Ok(())
    }

    /// Intended in the log, written, and what became of it in the log.
    async fn change_setting(&mut self, by: &SignedIn, change: Change) -> Result<(), Failure> {
        let (file, known) = (self.settling.file()?, self.settling.opened()?.text.clone());
        let setting = change.setting();
        let (reader, before) = (file.clone(), known.clone());
        let prepared = blocking(move || {
            let now = reader.read()?;
            if now != before {
                return Ok(Err(now));
            }
            reader.may_be_written()?;
            Ok(Ok(config::edit(reader.path(), &before, &change)?))
        });
        let Edited { text, old, new, .. } = match prepared.await? {
            Ok(edited) => edited,
            Err(now) => {
                let cause = format!("{} was edited since it was read", file.path().display());
                let failure = Failure::new(ReasonCode::CONFIG_CHANGED, cause);
                // As it is now, where it can be shown.
                return self.show_settings(now).await.and(Err(failure));
            }
        };
        let log = self.shared.log.by_nobody().by(by);
        let named = setting.name();
        let sha256 = Sha256::of(text.as_bytes());
        log.line(LineEvent::SettingIntended { setting: named.clone(), old, new, file: sha256 }).await?;
        let (writer, after) = (file.clone(), text.clone());
        let written = blocking(move || writer.replace(&known, &after)).await;
        let failure = written.as_ref().err().cloned();
        let told = log.line(LineEvent::SettingEnded { setting: named, failure }).await;
        if written.is_ok() {
            if !setting.is_taken_up_at_once() {
                self.settling.pending.insert(setting);
            }
            self.show_settings(text).await?;
        } else {
            let text = blocking(move || file.read()).await?;
            self.show_settings(text).await?;
        }
        if let Some(keeper) = &self.keeper {
            keeper.checkpoint_soon();
        }
        written.and(told.map(drop))
    }

    /// The board that has just come is there to teach a lane its port, or would disturb that: no run begins for it.
    /// `None`: it has nothing to do with it.
    pub(super) fn teaches(&mut self, device: &Device) -> Option<Taught> {
        let settings = &self.settling.open.as_ref()?.settings;
        let teaching = self.settling.teaching.as_mut().filter(|it| it.stage.waits())?;
        match settings.leaves_port_to(teaching.lane, &device.path) {
            Ok(()) => {
                teaching.stage = TeachView::Offered(device.path.clone());
                Some(Taught::Offered)
            }
            Err(failure) => {
                teaching.stage = TeachView::Waiting { refused: Some(failure.clone()) };
                Some(Taught::OfAnotherLane(failure))
            }
        }
    }

    async fn print_test_label(&mut self, by: SignedIn) -> Result<(), Failure> {
        let Some(printer) = self.shared.printer.clone() else {
            return Err(Failure::new(ReasonCode::NOT_NOW, "this station prints nothing"));
        };
        if self.spool.busy {
            return Err(Failure::new(ReasonCode::NOT_NOW, "a label is at the printer: ask again in a moment"));
        }
        let now = self.shared.log.clock.now();
        let zpl = labels::test(&self.config.station.name, now, self.shared.practice)?;
        self.shared.log.by_nobody().by(&by).line(LineEvent::TestLabelIntended {}).await?;
        // Units' labels wait for it, as for each other.
        self.spool.busy = true;
        self.settling.test = TestLabel::Printing;
        let done = self.settling.done.0.clone();
        tokio::spawn(async move {
            let printed = match printer.ready().await {
                Ok(_) => printer.print(&format!("test-{}", now.as_second()), &zpl).await,
                Err(failure) => Err(failure),
            };
            let _ = done.send(Done::TestLabel(Box::new(by), printed)).await;
        });
        Ok(())
    }

    fn look_at_targets(&mut self) -> Result<(), Failure> {
        let Some(examiner) = self.settling.examiner.clone() else {
            return Err(Failure::new(ReasonCode::NOT_NOW, "this station is air-gapped"));
        };
        if matches!(self.settling.look, TargetsLook::Looking) {
            return Ok(());
        }
        self.settling.look = TargetsLook::Looking;
        let (done, config, cloud) = (self.settling.done.0.clone(), self.config.clone(), self.shared.cloud.clone());
        tokio::spawn(async move {
            let found = examine_targets(&config, &*examiner, &*cloud, None).await;
            let _ = done.send(Done::Targets(found)).await;
        });
        Ok(())
    }

    pub(super) async fn settled(&mut self, done: Done) {
        match done {
            Done::Targets(found) => self.settling.look = TargetsLook::Found(Arc::new(found)),
            Done::TestLabel(by, printed) => {
                self.spool.busy = false;
                self.view.printer = match &printed {
                    Ok(()) => Health::Good,
                    Err(failure) => Health::Bad(failure.clone()),
                };
                self.settling.test = TestLabel::Ended(printed.clone());
                let told = self.shared.log.by_nobody().by(&by);
                let told = told.line(LineEvent::TestLabelEnded { failure: printed.err() }).await.map(drop);
                self.note_log(told);
            }
        }
    }
}

/// What a board that came while a lane is taught is there for.
pub(super) enum Taught {
    /// Its port is offered, and it is left alone until it is plugged in again.
    Offered,
    /// Its port is another lane's: said in that lane.
    OfAnotherLane(Failure),
}

/// The profiles that are taken, and whatever lies beside them.
fn at_hand(file: &dyn SettingsFile, settings: &Settings) -> Vec<String> {
    let mut files = settings.profiles.clone();
    let mut folders = BTreeSet::new();
    for taken in &settings.profiles {
        let folder = Path::new(taken).parent().unwrap_or(Path::new("")).to_path_buf();
        if !folders.insert(folder.clone()) {
            continue;
        }
        let beside = file.beside(&folder.display().to_string());
        let named = beside.into_iter().map(|name| folder.join(name).display().to_string());
        // The station's own file is no profile.
        let own = file.path().file_name().map(|name| name.to_string_lossy().into_owned());
        files.extend(named.filter(|name| !settings.profiles.contains(name) && Some(name) != own.as_ref()));
    }
    files
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Failure::new(ReasonCode::CONFIG_READ_ONLY, error.to_string())))
}

impl TeachView {
    fn waits(&self) -> bool {
        matches!(self, TeachView::Waiting { .. })
    }
}
