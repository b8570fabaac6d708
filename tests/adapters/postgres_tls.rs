//! TLS to the plant's server: verified whole, and refused in words that say what to do.

use std::path::Path;

use lineseal::adapters::postgres;
use lineseal::audit::LineEvent;
use lineseal::domain::{Failure, ReasonCode};
use lineseal::ports::AuditStore as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::postgres_server::{Database, Postgres};
use crate::store_contract::line;

/// The CA's certificate in PEM, and what it signs with.
fn ca(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    (certificate, Issuer::new(params, key))
}

/// Size of the log after one more event, through this connection string.
async fn append(database: &Database, host: &str, options: &str, folder: &Path) -> Result<u64, Failure> {
    let password = folder.join("password");
    crate::postgres_server::write_password(&password);
    let Database { name, port } = database;
    let text = format!("host={host} port={port} user=lineseal dbname={name} {options}");
    let store = postgres::open(postgres::connection(&text, Some(&password))?)?;
    Ok(store.append(vec![line(LineEvent::StationStopped {})]).await?[0].seq + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_verified_by_the_plants_own_ca_and_by_its_name() {
    let (root, issuer) = ca("Plant CA");
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let server = Postgres::start_with_tls(&certificate.pem(), &key.serialize_pem());
    let database = server.fresh_database();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (ours, theirs) = (file("ca.pem", &root), file("other.pem", &ca("Another CA").0));

    let verified = format!("sslmode=verify-full sslrootcert={ours}");
    assert_eq!(append(&database, "localhost", &verified, folder.path()).await.unwrap(), 1);
    let away = async |host: &str, options: &str, advice: &str| {
        let refused = append(&database, host, options, folder.path()).await.unwrap_err();
        assert_eq!(refused.code, ReasonCode::STORE_AWAY);
        assert!(refused.cause.contains(advice), "{refused}");
    };
    away("localhost", &format!("sslmode=verify-full sslrootcert={theirs}"), "name the file of the CA").await;
    // Not by the system's roots either; and less than all of it is never asked for.
    away("localhost", "sslmode=require", "name the file of the CA").await;
    away("localhost", "", "name the file of the CA").await;
    away("127.0.0.1", &verified, "write the host as it stands in the certificate").await;
    // A server without TLS is not spoken to in clear.
    let plain = Postgres::shared().fresh_database();
    let refused = append(&plain, "localhost", &verified, folder.path()).await.unwrap_err();
    assert!(refused.code == ReasonCode::STORE_AWAY && refused.cause.contains("TLS"), "{refused}");
}
