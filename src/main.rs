//! Parses the command line, and is the PKCS#11 worker and the practice token maker where asked to.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Both are children of this very program and are asked for before anything else is set up.
    match std::env::args().nth(1).as_deref() {
        Some(lineseal::bootstrap::WORKER_ARGUMENT) => lineseal::bootstrap::worker_main(),
        Some(lineseal::practice::token::MAKER_ARGUMENT) => lineseal::practice::token::maker_main(),
        _ => lineseal::cli::main(),
    }
}
