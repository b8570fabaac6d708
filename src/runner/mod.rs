//! The tokio shell around the core: boards arrive, lanes take them, runs are driven, snapshots and
//! finished units come out, commands go in.

mod batches;
mod connect;
mod custody;
mod driver;
mod equipment;
mod errands;
pub mod held;
mod keeper;
pub mod labels;
mod log;
mod presence;
pub mod rollback;
mod scan;
mod spool;
mod station;
pub mod take_back;
pub mod view;

pub mod arrivals;
pub mod authorities;
pub mod doctor;
pub mod fleet;
pub mod import;
pub mod lanes;
pub mod look;
pub mod manifest;
pub mod people;
pub mod prove;
mod reach;
pub mod reports;
mod revocation;
pub mod rulings;
pub mod undo;

pub use batches::{Told, add_manifest, close_batch, open_batch, open_batch_with};
pub use connect::ChipSigns;
pub use custody::{Custody, open_log, rotate_key};
pub use equipment::Equipment;
pub use errands::{Errand, Errands, run_errand};
pub use keeper::{checkpoint_and_copy, cosign};
pub use log::LogWriter;
pub use scan::{BoardEvent, Scanner};
pub use station::{StationHandle, start};
