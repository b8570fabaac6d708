//! Whether those who ruled might have: who they were then, and whose runs they operated.

use super::leaves::Leaves;
use super::{Stop, broken};
use crate::adapters::store::error::StoreError;
use crate::adapters::store::read::parse;
use crate::adapters::store::session::{Session, values};
use crate::adapters::store::{log, sql};
use crate::audit::Event;
use crate::audit::event::Ruling;
use crate::domain::{OperatorRef, Persons, Role};
use crate::ports::Promise;

/// `scratch`: as the events before this one leave it.
pub(super) fn judge(
    scratch: &mut dyn Session,
    seq: u64,
    ruling: &Ruling,
    (first, second): (Option<&OperatorRef>, Option<&OperatorRef>),
    persons: Option<Persons>,
) -> Result<(), Stop> {
    let refused = |found: String| Err(broken(Promise::Claims, format!("event {seq}"), found));
    let Some(first) = first else {
        return refused("nobody stands behind this ruling".to_owned());
    };
    match second {
        Some(second) if second.id == first.id => {
            return refused(format!("person {} ruled as the first person and the second", first.id));
        }
        None if persons == Some(Persons::Two) => {
            return refused("two persons had to rule, and one did".to_owned());
        }
        _ => {}
    }
    for OperatorRef { id, .. } in std::iter::once(first).chain(second) {
        let known = scratch
            .row(sql::OPERATOR, values![id.as_bytes()], |row| Ok((parse::<Role>(row.str(0)?)?, row.i64(1)? != 0)))?;
        match known {
            None => return refused(format!("person {id} ruled, and was no operator then")),
            Some((_, true)) => return refused(format!("person {id} ruled, and was disabled then")),
            Some((role, false)) if !ruling.roles().contains(&role) => {
                return refused(format!("person {id} ruled as {role}, which is not theirs to do"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Nobody rules on a unit whose runs they operated, or did anything in. Asked of the log itself, whose
/// tables are known to be what the events say. How many rulings could not be judged: of those runs an
/// archive has events that is not at hand.
pub(super) fn operated(session: &mut dyn Session, leaves: &Leaves) -> Result<u64, Stop> {
    let mut unjudged = 0;
    for (seq, unit, who) in &leaves.rulings {
        let mut whole = true;
        let of_unit = values![unit.product.as_str(), unit.serial.as_str()];
        for run in session.rows(sql::RUNS_OF_UNIT, of_unit, |row| row.array::<16>(0))? {
            if let Some((at, id)) = acted(session, &run, *seq, who, &mut whole)? {
                let found = format!("person {id} ruled on {unit}, and acted in one of its runs (event {at})");
                return Err(broken(Promise::Claims, format!("event {seq}"), found));
            }
        }
        unjudged += u64::from(!whole);
    }
    Ok(unjudged)
}

/// The first event of the run, before the ruling, that one of these wrote.
fn acted(
    session: &mut dyn Session,
    run: &[u8; 16],
    ruled: u64,
    who: &[uuid::Uuid],
    whole: &mut bool,
) -> Result<Option<(u64, uuid::Uuid)>, StoreError> {
    let mut events = session.rows(sql::EVENTS_OF_RUN, values![run], log::stored_event)?;
    for stored in events.iter_mut().take_while(|stored| stored.seq < ruled) {
        log::fetch(session, stored)?;
        if stored.bytes.is_empty() {
            // Archived: whoever ruled could not look either.
            *whole = false;
            continue;
        }
        let event = Event::decode(&stored.bytes)
            .map_err(|error| StoreError::Corrupt(format!("event {} is unreadable: {error}", stored.seq)))?;
        if let Some(person) = event.operator.filter(|person| who.contains(&person.id)) {
            return Ok(Some((stored.seq, person.id)));
        }
    }
    Ok(None)
}
