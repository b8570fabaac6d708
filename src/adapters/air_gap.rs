//! No cloud, on purpose: every unit waits for the station that takes this one's file in.

use secrecy::SecretString;

use crate::audit::event::{Holding, TargetRecord, Withdrawal};
use crate::domain::{Failure, Fingerprint, ProvisioningTemplateName, ReasonCode, SigningCa, TargetName};
use crate::ports::{Cloud, Issuance, Made, MadeBefore, Prepared, ReadBack, Refusal, Registration, TakenBack};

#[derive(Debug, Clone, Copy)]
pub struct AirGap;

fn air_gapped(target: &TargetName) -> Failure {
    Failure::new(ReasonCode::CLOUD_AIR_GAPPED, "this station is air-gapped").with("target", target)
}

#[async_trait::async_trait]
impl Cloud for AirGap {
    async fn issue(&self, issuance: &Issuance, _: &MadeBefore) -> Result<Made, Failure> {
        Err(air_gapped(&issuance.target))
    }

    async fn register(&self, registration: &Registration) -> Result<TargetRecord, Refusal> {
        Err(Refusal { failure: air_gapped(&registration.target), certificate_left: false })
    }

    async fn stands(&self, held: &ReadBack) -> Result<(), Failure> {
        Err(air_gapped(&held.target))
    }

    async fn deactivate(&self, target: &TargetName, _: &Fingerprint) -> Result<(), Failure> {
        Err(air_gapped(target))
    }

    async fn withdraw(&self, holding: &Holding, _: Withdrawal) -> TakenBack {
        TakenBack { failure: Some(air_gapped(&holding.target)), ..TakenBack::default() }
    }

    /// Asked where the units are registered.
    async fn takes_from(&self, _: &TargetName, _: &SigningCa, _: bool) -> Result<(), Failure> {
        Ok(())
    }

    async fn made_before(&self, issuance: &Issuance, _: &MadeBefore) -> Result<Option<Made>, Failure> {
        Err(air_gapped(&issuance.target))
    }

    async fn prepare(&self, registration: &Registration) -> Result<Prepared, Refusal> {
        Err(Refusal { failure: air_gapped(&registration.target), certificate_left: false })
    }

    async fn claim(
        &self,
        target: &TargetName,
        _: &ProvisioningTemplateName,
    ) -> Result<(String, SecretString), Failure> {
        Err(air_gapped(target))
    }

    async fn endpoint(&self, target: &TargetName) -> Result<String, Failure> {
        Err(air_gapped(target))
    }

    async fn probe(&self, target: &TargetName) -> Result<(), Failure> {
        Err(air_gapped(target))
    }
}
