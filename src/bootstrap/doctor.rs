//! What `doctor` looks with. Nothing is written, and a station may work beside it.

use std::path::Path;
use std::sync::Arc;

use super::{bucket, check_claim, check_trust, connection, copies_are_on_the_logs_disk, custody};
use crate::adapters::air_gap::AirGap;
use crate::adapters::aws_iot::{self, AwsCloud, AwsExaminer};
use crate::adapters::pkcs11;
use crate::adapters::system::SystemClock;
use crate::adapters::{postgres, printer, sqlite};
use crate::config::Config;
use crate::domain::Failure;
use crate::ports::Examiner;
use crate::runner::Custody;
use crate::runner::doctor::{AtHand, Instruments};

pub use crate::adapters::aws_iot::{StationPolicy, station_policies};

pub async fn instruments(config: &Config, data_dir: &Path) -> Result<Instruments, Failure> {
    let examiner: Option<Arc<dyn Examiner>> = match config.station.air_gapped {
        true => None,
        false => {
            aws_iot::root_certificates()?;
            Some(Arc::new(AwsExaminer::new(config).await))
        }
    };
    let at_hand = |profile: &crate::domain::profile::Profile| AtHand {
        profile: profile.name.clone(),
        module: profile.token.module.clone(),
        trust: check_trust(&profile.trust).map(drop),
        claim: check_claim(profile),
        token: pkcs11::at_hand(&profile.token),
    };
    Ok(Instruments {
        clock: Arc::new(SystemClock),
        at_hand: config.profiles.iter().map(at_hand).collect(),
        log: log(config, data_dir).await,
        copies_elsewhere: !copies_are_on_the_logs_disk(config, data_dir),
        printer: printer::from_config(&config.printer),
        examiner,
        // Not the station's: its calls are no draw on what a plant's stations have together.
        cloud: match config.station.air_gapped {
            true => Arc::new(AirGap),
            false => Arc::new(AwsCloud::new(&config.targets).await),
        },
    })
}

/// `None`: there is no log yet.
async fn log(config: &Config, data_dir: &Path) -> Result<Option<Custody>, Failure> {
    let path = data_dir.join(sqlite::FILE);
    let store = match &config.log.postgres {
        Some(database) => postgres::open_reader(connection(config, data_dir, database)?)?,
        None if matches!(path.try_exists(), Ok(false)) => return Ok(None),
        None => sqlite::open_reader(&path)?,
    };
    Ok(Some(custody(config, data_dir, &Arc::new(store), bucket(config).await?)))
}
