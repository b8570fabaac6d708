//! The buckets that a plant's stations share, by the server's clock.
//!
//! A bucket is one row and a taking is one statement, in a transaction of its own: what a station took that
//! died is made good by time. Nothing of it has to survive a power cut, so no disk is waited for.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use postgres::{Client, Statement};
use tokio::sync::oneshot;

use super::connection::Connection;
use super::open::{Access, Server};
use crate::adapters::store::error::StoreError;
use crate::domain::{Failure, ReasonCode};
use crate::ports::{Asked, Ration, Rations};

const ANSWERS_WITHIN: Duration = Duration::from_millis(800);
const QUEUE: usize = 64;
/// A server that is away is not sought with every call.
const BETWEEN_TRIES: Duration = Duration::from_secs(2);
/// Stations come and go seldom.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Full again at: no earlier than now, and never so far ahead as only a clock that was set back can make it (no unit
/// is given ten minutes).
/// Nothing comes back where the bucket would be emptier than may be.
const TAKE: &str = "INSERT INTO rations AS r (place, action, full_at)
    VALUES ($1, $2, clock_timestamp() + $3 * interval '1 microsecond')
    ON CONFLICT (place, action) DO UPDATE SET full_at =
        CASE WHEN r.full_at BETWEEN clock_timestamp() AND clock_timestamp() + interval '11 minutes'
            THEN r.full_at ELSE clock_timestamp() END + $3 * interval '1 microsecond'
        WHERE r.full_at + $3 * interval '1 microsecond' <= clock_timestamp() + $4 * interval '1 microsecond'
            OR r.full_at > clock_timestamp() + interval '11 minutes'
    RETURNING CAST(extract(epoch FROM full_at - clock_timestamp()) * 1000000 AS BIGINT)";
const LOOK: &str = "SELECT CAST(extract(epoch FROM full_at - clock_timestamp()) * 1000000 AS BIGINT)
    FROM rations WHERE place = $1 AND action = $2";
/// Each station holds a lock of two numbers for as long as it is connected, and nobody else does.
const STATIONS: &str = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND d.datname = current_database()";

/// Over a connection of its own.
#[derive(Debug)]
pub struct PostgresRations {
    asks: mpsc::SyncSender<Ask>,
}

type Ask = (Asked, oneshot::Sender<Result<Ration, Failure>>);

impl PostgresRations {
    /// Connects when it is asked first. K-701 where the certificates that are named can't be read.
    pub fn new(connection: impl Into<Connection>) -> Result<Self, Failure> {
        let server = Server::new(connection.into())?;
        let (asks, asked) = mpsc::sync_channel(QUEUE);
        std::thread::spawn(move || Bucket { server, connected: None, tried: None, counted: None }.serve(&asked));
        Ok(Self { asks })
    }
}

#[async_trait::async_trait]
impl Rations for PostgresRations {
    async fn take(&self, asked: Asked) -> Result<Ration, Failure> {
        let (answer, answered) = oneshot::channel();
        let away = |cause: &str| Failure::new(ReasonCode::STORE_AWAY, format!("the plant's rations: {cause}"));
        self.asks.try_send((asked, answer)).map_err(|error| away(&error.to_string()))?;
        match tokio::time::timeout(ANSWERS_WITHIN, answered).await {
            Ok(Ok(ration)) => ration,
            Ok(Err(_)) => Err(away("nobody answers any more")),
            Err(_) => Err(away("no answer in time")),
        }
    }
}

struct Bucket {
    server: Server,
    connected: Option<Connected>,
    tried: Option<Instant>,
    counted: Option<(Instant, u32)>,
}

struct Connected {
    client: Client,
    take: Statement,
    look: Statement,
}

impl Bucket {
    fn serve(mut self, asked: &mpsc::Receiver<Ask>) {
        while let Ok((asked, answer)) = asked.recv() {
            // Whoever gave up would never make the calls.
            if answer.is_closed() {
                continue;
            }
            let ration = self.take(&asked).inspect_err(|_| self.connected = None);
            let _ = answer.send(ration.map_err(Failure::from));
        }
    }

    fn take(&mut self, asked: &Asked) -> Result<Ration, StoreError> {
        let stations = self.stations()?;
        let (place, action) = (&asked.place, &asked.action);
        let Connected { client, take, look } = self.connected()?;
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let cost = micros(asked.a_call.saturating_mul(asked.calls));
        // The driver would send the number as a float, as the interval's factor is one.
        let (cost, at_most) = (cost as f64, micros(asked.at_most) as f64);
        let taken = client.query_opt(take, &[place, action, &cost, &at_most])?;
        let row = match &taken {
            Some(row) => Some(row.try_get::<_, i64>(0)?),
            None => client.query_opt(look, &[place, action])?.map(|row| row.try_get(0)).transpose()?,
        };
        let full_in = Duration::from_micros(row.and_then(|micros| micros.try_into().ok()).unwrap_or(0));
        Ok(Ration { taken: taken.is_some(), full_in, stations })
    }

    fn stations(&mut self) -> Result<u32, StoreError> {
        if let Some((at, stations)) = self.counted
            && at.elapsed() < COUNT_EVERY
        {
            return Ok(stations);
        }
        let counted: i64 = self.connected()?.client.query_one(STATIONS, &[])?.try_get(0)?;
        let stations = u32::try_from(counted).unwrap_or(u32::MAX).max(1);
        self.counted = Some((Instant::now(), stations));
        Ok(stations)
    }

    fn connected(&mut self) -> Result<&mut Connected, StoreError> {
        if self.connected.as_ref().is_none_or(|connected| connected.client.is_closed()) {
            self.connected = None;
            if self.tried.is_some_and(|tried| tried.elapsed() < BETWEEN_TRIES) {
                return Err(StoreError::Away("it was away a moment ago".to_owned()));
            }
            self.tried = Some(Instant::now());
            let mut client = self.server.dial(Access::Write)?;
            client.batch_execute("SET synchronous_commit TO off; SET statement_timeout TO '2s'")?;
            let (take, look) = (client.prepare(TAKE)?, client.prepare(LOOK)?);
            self.connected = Some(Connected { client, take, look });
        }
        self.connected.as_mut().ok_or(StoreError::Ended)
    }
}
