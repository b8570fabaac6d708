//! Which unit a command means.

use crate::domain::{Failure, Product, ReasonCode, Unit};
use crate::ports::History;

/// A board's serial number, and its product where several have that serial number.
#[derive(clap::Args)]
pub struct UnitName {
    /// The board's serial number.
    #[arg(value_name = "UNIT")]
    serial: String,
    /// The unit's product, where several products have this serial number.
    #[arg(long)]
    product: Option<Product>,
}

impl UnitName {
    pub async fn find(&self, history: &dyn History) -> Result<Unit, Failure> {
        find(history, &self.serial, self.product.as_ref()).await
    }
}

/// O-616 where the log has none, O-615 where it has several.
pub async fn find(history: &dyn History, serial: &str, product: Option<&Product>) -> Result<Unit, Failure> {
    let mut units = history.units(serial).await?;
    units.retain(|unit| product.is_none_or(|product| unit.product == *product));
    match (units.pop(), units.as_slice()) {
        (Some(only), []) => Ok(only),
        (None, _) => {
            let of = product.map(|product| format!("{product} ")).unwrap_or_default();
            Err(Failure::new(ReasonCode::NOT_IN_LOG, format!("the log does not know the unit {of}{serial}")))
        }
        (Some(last), others) => {
            let products: Vec<&str> = others.iter().chain([&last]).map(|unit| unit.product.as_str()).collect();
            let cause = format!("{serial} is a board of {}: say which with --product", products.join(", "));
            Err(Failure::new(ReasonCode::ARGUMENT_REFUSED, cause))
        }
    }
}
