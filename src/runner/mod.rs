//! The tokio shell around the core: boards arrive, lanes take them, runs are driven, snapshots and
//! finished units come out, commands go in.

pub mod arrivals;
pub mod lanes;
pub mod view;
