//! The whole path, through real parts: boards on pseudo-terminals, chips in SoftHSM, MiniStack and
//! moto as AWS, a printer that is a socket; and the real program where its command line is meant.
//!
//! Needs `pkcs11-tool` (OpenSC) and the Python environment of `tests/peers`; fails without them.
//! Each test has a folder, boards, chips, a vendor CA, a printer and a log of its own. The clouds are
//! shared, save where a test counts everything that is in one.
#![allow(clippy::unwrap_used, reason = "what a test does when it is wrong is to say so and die")]

mod accounts;
mod air_gap;
mod attempts;
mod barcode;
mod bench;
mod clock;
mod commands;
mod connect;
mod csr;
mod custody;
mod disk;
mod doctor;
mod elsewhere;
mod faults;
mod fleet;
#[path = "../peers/fleet.rs"]
mod fleet_peer;
mod fleet_setup;
mod gate;
mod held;
#[path = "../hostile/mod.rs"]
mod hostile;
mod hostile_tokens;
mod iam;
mod just_in_time;
mod killed;
mod labels;
mod log;
mod manifests;
mod office;
#[path = "../peers/office.rs"]
mod office_folder;
mod operating;
mod own_ca;
mod pairs;
mod peers;
mod people;
mod plant;
#[path = "../peers/postgres.rs"]
mod postgres_server;
mod program;
mod put_back;
mod random_faults;
mod reading;
#[path = "../peers/register_thing.rs"]
mod register_thing;
mod remote;
mod replays;
#[path = "../peers/responder.rs"]
mod responder;
mod revocation;
mod rulings;
mod safekeeping;
mod secrets;
mod serial;
mod settings;
mod sightings;
mod sixteen;
mod starting;
mod station;
#[path = "../adapters/store_contract.rs"]
#[allow(dead_code, unused_macros, reason = "its stories belong to the stores; its words are used here")]
mod store_contract;
mod substitution;
mod swaps;
mod taken_back;
mod template;
mod token_show;
mod tokens;
mod tpm;
#[path = "../peers/tpm.rs"]
mod tpm_peer;
mod undo;
mod whole_path;
