//! The practice line's AWS: MiniStack, in a Python process of its own, on loopback only.

mod python_server;

use std::path::PathBuf;
use std::time::Duration;

use aws_credential_types::Credentials;

use crate::domain::Region;
pub use python_server::{PythonServer, PythonServerError};

/// Binds everything to loopback, turns SigV4 on, makes the station's IAM user.
const STARTER: &str = include_str!("../../assets/practice/ministack_loopback.py");
/// MiniStack itself takes half a second; a cold disk on a slow machine takes longer.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How MiniStack is started.
#[derive(Debug, Clone)]
pub struct MiniStackPlan {
    /// A Python virtual environment with what `assets/practice/requirements.txt` pins.
    pub venv: PathBuf,
    /// For its log and starter; made if it does not exist.
    pub folder: PathBuf,
    /// Where the cloud's contents are kept: written every few seconds and when it is stopped.
    /// `None`: they live in memory.
    pub state: Option<PathBuf>,
    /// A loopback port for the API; `None`: any free one.
    pub port: Option<u16>,
    /// Start MiniStack's MQTT listener (mutual TLS), on a free loopback port.
    pub mtls: bool,
}

/// A running MiniStack. Dropping it ends its process.
#[derive(Debug)]
pub struct MiniStack {
    server: PythonServer,
    announcement: Announcement,
    region: Region,
}

#[derive(Debug, thiserror::Error)]
pub enum MiniStackError {
    #[error("MiniStack could not be started")]
    Server(#[from] PythonServerError),
    #[error("MiniStack's starter announced something else than its port, region and keys")]
    Announcement(#[source] serde_json::Error),
    #[error("MiniStack's starter announced a region that is none")]
    Region(#[source] crate::domain::Invalid),
}

#[derive(serde::Deserialize)]
struct Announcement {
    port: u16,
    mtls_port: Option<u16>,
    mtls_ca: Option<String>,
    region: String,
    access_key_id: String,
    secret_access_key: secrecy::SecretString,
}

impl MiniStack {
    /// Returns when it answers and the station's user exists; fails within a minute.
    pub async fn start(plan: &MiniStackPlan) -> Result<Self, MiniStackError> {
        let mut args = Vec::new();
        if let Some(state) = &plan.state {
            args.extend(["--state".into(), state.clone().into_os_string()]);
        }
        if let Some(port) = plan.port {
            args.extend(["--port".into(), port.to_string().into()]);
        }
        if plan.mtls {
            args.push("--mtls".into());
        }
        let server = PythonServer::start("ministack", &plan.venv, &plan.folder, STARTER, &args, READY_WITHIN).await?;
        let announcement: Announcement = server.announcement().map_err(MiniStackError::Announcement)?;
        let region = announcement.region.parse().map_err(MiniStackError::Region)?;
        Ok(Self { server, announcement, region })
    }

    /// The API, e.g. `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    pub fn address(&self) -> std::net::SocketAddr {
        (std::net::Ipv4Addr::LOCALHOST, self.announcement.port).into()
    }

    /// The MQTT listener's loopback port, where one was asked for.
    pub fn mtls_port(&self) -> Option<u16> {
        self.announcement.mtls_port
    }

    /// Whom its certificate comes from, PEM.
    pub fn mtls_ca(&self) -> Option<&str> {
        self.announcement.mtls_ca.as_deref()
    }

    pub fn region(&self) -> &Region {
        &self.region
    }

    /// An IAM user's keys: it may do what a station does. They are of no use anywhere else.
    pub fn credentials(&self) -> Credentials {
        use secrecy::ExposeSecret as _;
        let secret = self.announcement.secret_access_key.expose_secret();
        Credentials::new(&self.announcement.access_key_id, secret, None, None, "practice")
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Where it logs.
    pub fn log(&self) -> &std::path::Path {
        self.server.log()
    }

    /// Ends it, its contents saved where they are kept.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

impl std::fmt::Debug for Announcement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Announcement").field("port", &self.port).field("mtls_port", &self.mtls_port).finish()
    }
}
