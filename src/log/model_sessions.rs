//! The part of the random operations that durable sessions and retained messages have.

use std::sync::Mutex;

use super::model::{Kept, Model, seen};
use super::model_tests::World;
use super::testing::message;
use super::*;
use crate::types::{ChannelId, PacketId, Position, QoS, SessionId, Timestamp};

/// Says how far the model's sessions have come, while a test lets it.
#[derive(Debug, Default)]
pub(crate) struct SessionHolds {
    model: Mutex<Option<Model>>,
}

impl Holds for SessionHolds {
    fn passed(&self, _: ChannelId, topic: &str, _: ChannelKind) -> Option<Position> {
        let model = self.model.lock().unwrap();
        model.as_ref().map(|model| Position(model.passed(topic)))
    }
}

impl World {
    /// Sweeps with what the sessions say; at other times they say nothing, since the log also sweeps on its own.
    pub(crate) fn apply_retention(&mut self) {
        let told = Model {
            records: Vec::new(),
            ..self.model.clone()
        };
        *self.holds.model.lock().unwrap() = Some(told);
        assert_eq!(self.bench.run_one(Command::ApplyRetention), Ok(Outcome::Done));
        *self.holds.model.lock().unwrap() = None;
    }

    /// What every session has passed is gone after a sweep, and nothing else is.
    pub(crate) fn release(&mut self) {
        let going = self.model.records.iter().filter(|kept| self.model.is_released(kept));
        // A step removes 1,000; here a sweep is one write, so that a crash undoes all of it or nothing.
        if self.armed && going.count() > 990 {
            return;
        }
        self.apply_retention();
        self.model.release();
    }

    /// Gives some messages something more to write in their transaction.
    pub(crate) fn add_extras(&mut self, publish: &mut Publish) {
        let sessions: Vec<_> = self.model.sessions.keys().copied().map(SessionId).collect();
        let session = self.rng.choice(&sessions).copied();
        match self.rng.u32(0..20) {
            0 => publish.retain = true,
            1 => {
                publish.retain = true;
                publish.message = message(publish.message.topic(), "");
            }
            2 => publish.keep = Keep::Nothing,
            3 => publish.received = session.map(|session| (session, self.packet_id())),
            4 => publish.will_of = session,
            _ => return,
        }
        if self.rng.u32(0..4) == 0 {
            publish.keep = Keep::Nothing;
        }
    }

    fn packet_id(&mut self) -> PacketId {
        PacketId::new(self.rng.u16(1..9)).unwrap()
    }

    /// Does something to one of a few sessions, in one transaction.
    pub(crate) fn change_session(&mut self) {
        let id = self.rng.u64(1..5);
        let before = self.model.sessions.get(&id).cloned();
        let (commands, after) = match before {
            None => self.new_session(id),
            Some(session) => match self.rng.u32(0..9) {
                0 => (vec![delete(&session)], None),
                1 => self.disconnect(session),
                2 => self.subscribe(session),
                3 => self.unsubscribe(session),
                4 => self.release_packet(session),
                5 => self.change_will(session),
                _ => self.move_place(session),
            },
        };
        let outcomes = self.bench.run(commands);
        assert!(
            outcomes.iter().all(|outcome| *outcome == Ok(Outcome::Done)),
            "{outcomes:?}"
        );
        match after {
            Some(session) => self.model.sessions.insert(id, session),
            None => self.model.sessions.remove(&id),
        };
    }

    fn new_session(&mut self, id: u64) -> Changed {
        let id = SessionId(id);
        let record = SessionRecord {
            id,
            client_id: format!("c{}", self.rng.u32(..)),
            expiry_secs: self.rng.u32(..),
            created: self.clock.now(),
            disconnected: None,
            owner: self.rng.bool().then(|| format!("u{}", self.rng.u8(..))),
        };
        let session = RecoveredSession {
            record: record.clone(),
            subscriptions: Vec::new(),
            place: None,
            received: Vec::new(),
            will: None,
        };
        let (mut commands, session) = self.subscribe(session);
        commands.insert(0, Command::SaveSession(Box::new(record)));
        (commands, session)
    }

    fn disconnect(&mut self, mut session: RecoveredSession) -> Changed {
        session.record.disconnected = self.rng.bool().then(|| self.clock.now());
        let command = Command::SaveSession(Box::new(session.record.clone()));
        (vec![command], Some(session))
    }

    fn subscribe(&mut self, mut session: RecoveredSession) -> Changed {
        let prefixes = ["", "a/", "a/hot", "b/", "b/1"];
        let last = session.subscriptions.last();
        let record = SubscriptionRecord {
            session: session.record.id,
            number: last.map_or(1, |last| last.number + 1),
            kind: SubscriptionKind::Live,
            group: None,
            filter: self.rng.choice(prefixes).unwrap().to_owned(),
            qos: QoS::AtLeastOnce,
            no_local: self.rng.bool(),
            retain_as_published: self.rng.bool(),
            id: self.rng.bool().then_some(5),
            since: Position(self.model.last),
            selector: self.rng.bool().then(|| "a = 1".into()),
        };
        session.subscriptions.push(record.clone());
        (vec![Command::SaveSubscription(Box::new(record))], Some(session))
    }

    fn unsubscribe(&mut self, mut session: RecoveredSession) -> Changed {
        if session.subscriptions.is_empty() {
            return (Vec::new(), Some(session));
        }
        let at = self.rng.usize(..session.subscriptions.len());
        let number = session.subscriptions.remove(at).number;
        let command = Command::DeleteSubscription(session.record.id, number);
        (vec![command], Some(session))
    }

    fn release_packet(&mut self, mut session: RecoveredSession) -> Changed {
        let packet_id = self.packet_id();
        session.received.retain(|known| *known != packet_id);
        (vec![Command::Release(session.record.id, packet_id)], Some(session))
    }

    fn change_will(&mut self, mut session: RecoveredSession) -> Changed {
        let id = session.record.id;
        let record = WillRecord {
            session: id,
            delay_secs: self.rng.u32(..),
            message: (*message("w", &self.rng.u32(..).to_string())).clone(),
        };
        session.will = self.rng.bool().then_some(record);
        let command = match &session.will {
            Some(record) => Command::SaveWill(Box::new(record.clone())),
            None => Command::DeleteWill(id),
        };
        (vec![command], Some(session))
    }

    /// Acknowledges some of what waits.
    fn move_place(&mut self, mut session: RecoveredSession) -> Changed {
        let floor = session.place.as_ref().map_or(0, |place| place.floor.0);
        let floor = Position(self.rng.u64(floor..=self.model.last.max(floor)));
        let first = self.rng.u16(1..);
        let in_flight = (0..self.rng.u16(0..5)).filter_map(|n| {
            Some(InFlightRecord {
                packet_id: PacketId::new(first.wrapping_add(n))?,
                from: InFlightFrom::Session(Position(floor.0 + u64::from(n) + 1)),
                qos: QoS::ExactlyOnce,
                retain: false,
                completing: n == 0,
                subscription_ids: Vec::new(),
            })
        });
        let record = PlaceRecord {
            session: session.record.id,
            floor,
            acked: vec![Position(floor.0 + 9)],
            sent: Position(floor.0 + 10),
            last_packet_id: first,
            in_flight: in_flight.collect(),
        };
        session.place = Some(record.clone());
        (vec![Command::SavePlace(Box::new(record))], Some(session))
    }

    /// Counting, cutting and reading at positions agree with the model.
    pub(crate) fn check_backlog(&mut self) {
        if self.is_ahead() {
            return;
        }
        let filter = self.filter();
        let after = self.rng.u64(0..self.model.last + 2);
        let reader = &self.bench.reader;
        let waiting: Vec<_> = self.model.kept(&filter).filter(|kept| kept.position > after).collect();
        let backlog = reader.backlog(&filter, Position(after)).unwrap();
        assert_eq!(backlog.records, waiting.len() as u64, "{filter:?} after {after}");
        assert_eq!(backlog.oldest.map(|time| time.0), waiting.first().map(|kept| kept.time));

        let most = self.rng.usize(0..2_000);
        let limits = BacklogLimits {
            max_records: Some(most as u64),
            ..BacklogLimits::default()
        };
        let cut = reader.cut_point(&filter, Position(after), &limits).unwrap();
        let beyond = waiting.len().checked_sub(most + 1);
        assert_eq!(cut.0, beyond.map_or(after, |last| waiting[last].position));

        let time = self.rng.u64(1_000_000..self.clock.now().0.max(1_000_001));
        let limits = BacklogLimits {
            older_than: Some(Timestamp(time)),
            ..BacklogLimits::default()
        };
        let cut = reader.cut_point(&filter, Position(after), &limits).unwrap();
        let right = |kept: &&Kept| (kept.position > cut.0) == (kept.time >= time);
        assert!(
            waiting.iter().all(right),
            "{filter:?} after {after}, older than {time}: {cut}"
        );

        let positions: Vec<_> = (0..20)
            .map(|_| Position(self.rng.u64(0..self.model.last + 2)))
            .collect();
        let found = reader.events_at(&positions).unwrap();
        for (position, event) in positions.iter().zip(found) {
            let kept = self.model.records.iter().find(|kept| kept.position == position.0);
            assert_eq!(event.as_ref().map(seen).as_ref(), kept);
        }
    }
}

/// What to have the log do, and the session then.
type Changed = (Vec<Command>, Option<RecoveredSession>);

fn delete(session: &RecoveredSession) -> Command {
    let numbers = session.subscriptions.iter().map(|record| record.number);
    Command::DeleteSession {
        id: session.record.id,
        subscriptions: numbers.collect(),
        received: session.received.clone(),
    }
}
