use std::process::ExitCode;

use lineseal::adapters::pkcs11::{WORKER_ARGUMENT, worker_main};
use lineseal::practice::token::{MAKER_ARGUMENT, maker_main};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(WORKER_ARGUMENT) => worker_main(),
        Some(MAKER_ARGUMENT) => maker_main(),
        _ => ExitCode::from(2),
    }
}
