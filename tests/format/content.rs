//! What lies in the frozen folder. To change a value here is to change what the folder must hold.

use std::sync::Arc;

use rewindmq::log::{
    ChannelKind, Command, CursorOwner, CursorRecord, InFlightFrom, InFlightRecord, Keep, Origin, PlaceRecord, Publish,
    RecoveredSession, SessionRecord, StartRule, SubscriptionKind, SubscriptionRecord, WillRecord,
};
use rewindmq::types::{
    ChannelId, ClientId, CursorId, Message, MessageParts, PacketId, Position, QoS, Sequence, SessionId, Timestamp,
};

/// The time at which everything was written.
pub const NOW: Timestamp = Timestamp(1_790_000_000_000_000_000);
/// The topic of the longest channel, of which the oldest events were removed.
pub const TRIMMED_TOPIC: &str = "orders/1";
/// How many were.
pub const TRIMMED: u64 = 100;

/// A record of the log.
pub struct Record {
    pub kind: ChannelKind,
    pub topic: String,
    pub payload: Vec<u8>,
    pub properties: Vec<u8>,
}

/// Everything of a durable session that is on disk.
#[derive(Debug, PartialEq)]
pub struct Session {
    record: SessionRecord,
    subscriptions: Vec<SubscriptionRecord>,
    place: Option<PlaceRecord>,
    received: Vec<PacketId>,
    will: Option<WillRecord>,
}

impl From<&RecoveredSession> for Session {
    fn from(found: &RecoveredSession) -> Self {
        Self {
            record: found.record.clone(),
            subscriptions: found.subscriptions.clone(),
            place: found.place.clone(),
            received: found.received.clone(),
            will: found.will.clone(),
        }
    }
}

/// What was written before the checkpoint, in order.
pub fn records() -> Vec<Record> {
    let mut records = Vec::new();
    for number in 0..400 {
        records.push(record(ChannelKind::Event, TRIMMED_TOPIC, format!("order {number}")));
        if number % 100 == 0 {
            records.push(record(ChannelKind::Held, "plain/1", format!("held {number}")));
            records.push(record(ChannelKind::Event, "plain/1", format!("stored too {number}")));
        }
    }
    records.push(Record {
        // Content Type "text" (MQTT 5.0 section 3.3.2.3.9).
        properties: vec![0x03, 0, 4, b't', b'e', b'x', b't'],
        ..record(ChannelKind::Event, "orders/\u{e9}/", "with properties".to_owned())
    });
    records.push(record(ChannelKind::Event, &long_topic(), "p".repeat(9_000)));
    records
}

/// What was written behind the checkpoint.
pub fn late_records() -> Vec<Record> {
    let late = |kind, topic: &str| record(kind, topic, "late".to_owned());
    vec![
        late(ChannelKind::Event, TRIMMED_TOPIC),
        late(ChannelKind::Held, "plain/1"),
        late(ChannelKind::Held, "plain/new"),
        late(ChannelKind::Event, "orders/new"),
    ]
}

/// The command that writes a record.
pub fn command(record: Record) -> Command {
    let message = Arc::new(message(
        &record.topic,
        &record.properties,
        &record.payload,
        QoS::AtLeastOnce,
        false,
    ));
    Command::Publish(match record.kind {
        ChannelKind::Event => Publish::event(message),
        ChannelKind::Held => Publish::held(message),
    })
}

/// The commands that write everything else.
pub fn rows() -> Vec<Command> {
    let mut rows = Vec::new();
    for (cursor, origin) in cursors() {
        rows.extend(origin.map(|origin| Command::SaveCursorOrigin(cursor.id, Box::new(origin))));
        rows.push(Command::SaveCursor(Box::new(cursor)));
    }
    for session in sessions() {
        let id = session.record.id;
        rows.push(Command::SaveSession(Box::new(session.record)));
        let subscriptions = session.subscriptions.into_iter().map(Box::new);
        rows.extend(subscriptions.map(Command::SaveSubscription));
        rows.extend(session.place.map(Box::new).map(Command::SavePlace));
        rows.extend(session.will.map(Box::new).map(Command::SaveWill));
        rows.extend(session.received.into_iter().map(|packet_id| {
            Command::Publish(Publish {
                received: Some((id, packet_id)),
                ..Publish::passing(Arc::new(message("nobody/waits", &[], b"", QoS::ExactlyOnce, false)))
            })
        }));
    }
    rows.extend(retained().into_iter().map(|message| {
        Command::Publish(Publish {
            message: Arc::new(message),
            keep: Keep::Nothing,
            retain: true,
            received: None,
            will_of: None,
        })
    }));
    rows
}

/// The cursors, each with where it started, ascending by identifier.
pub fn cursors() -> Vec<(CursorRecord, Option<Origin>)> {
    let cursor = |id, owner, filter: &str| CursorRecord {
        id: CursorId(id),
        owner,
        filter: filter.to_owned(),
        floor: Position(150),
        acked: vec![Position(152), Position(160), Position(300)],
        sent: Position(350),
        created: NOW,
        used: Timestamp(NOW.0 + 1),
    };
    let client = |name: &str| CursorOwner::Client(name.to_owned());
    let origin = |rule| {
        Some(Origin {
            taken_at: Position(120),
            first: Position(7),
            rule,
        })
    };
    let starts = vec![(ChannelId(1), Position(9)), (ChannelId(3), Position(70_000))];
    vec![
        (cursor(1, client("billing"), "orders/#"), origin(StartRule::Everything)),
        (
            cursor(2, client("billing"), "orders/1"),
            origin(StartRule::SinceSequence(Sequence(40))),
        ),
        (
            cursor(3, CursorOwner::Group("workers".to_owned()), "#"),
            origin(StartRule::PerChannel(starts)),
        ),
        (cursor(9, client("\u{e9}"), "+/1"), None),
    ]
}

/// The durable sessions, ascending by identifier.
pub fn sessions() -> Vec<Session> {
    vec![busy(), connected()]
}

/// The retained messages, ascending by key.
pub fn retained() -> Vec<Message> {
    let mut topics = ["lights/1".to_owned(), "lights/2".to_owned(), long_topic()];
    topics.sort();
    let message = |topic: &String| message(topic, &[0x01, 1], b"on", QoS::AtLeastOnce, true);
    topics.iter().map(message).collect()
}

/// An absent session with everything that a session can have.
fn busy() -> Session {
    let id = SessionId(3);
    Session {
        record: SessionRecord {
            id,
            client_id: "busy".to_owned(),
            expiry_secs: 86_400,
            created: NOW,
            disconnected: Some(Timestamp(NOW.0 + 5)),
            owner: None,
        },
        subscriptions: vec![
            subscription(id, 1, SubscriptionKind::Live, None, "plain/#"),
            subscription(id, 2, SubscriptionKind::Share, Some("pool"), "jobs/+"),
            subscription(id, 3, SubscriptionKind::Replay, None, "orders/#"),
            subscription(id, 900, SubscriptionKind::Group, Some("workers"), "#"),
        ],
        place: Some(PlaceRecord {
            session: id,
            floor: Position(2),
            acked: vec![Position(200), Position(203)],
            sent: Position(310),
            last_packet_id: 65_535,
            in_flight: in_flight(),
        }),
        received: vec![packet_id(1), packet_id(65_535)],
        will: Some(WillRecord {
            session: id,
            delay_secs: 30,
            message: message("last/words", &[0x01, 1], b"gone", QoS::ExactlyOnce, true),
        }),
    }
}

/// A session that was connected when the folder was left, and has nothing.
fn connected() -> Session {
    Session {
        record: SessionRecord {
            id: SessionId(70_000),
            client_id: "connected".to_owned(),
            expiry_secs: u32::MAX,
            created: NOW,
            disconnected: None,
            owner: None,
        },
        subscriptions: Vec::new(),
        place: None,
        received: Vec::new(),
        will: None,
    }
}

fn in_flight() -> Vec<InFlightRecord> {
    let own = message("own/copy", &[], b"mine", QoS::ExactlyOnce, false);
    let sent = |number, from, qos, completing| InFlightRecord {
        packet_id: packet_id(number),
        from,
        qos,
        retain: number == 5,
        completing,
        subscription_ids: if number == 7 { vec![1, 268_435_455] } else { vec![] },
    };
    vec![
        sent(65_533, InFlightFrom::Session(Position(202)), QoS::AtLeastOnce, false),
        sent(65_534, InFlightFrom::Session(Position(204)), QoS::ExactlyOnce, true),
        sent(7, InFlightFrom::Replay(3, Position(101)), QoS::AtLeastOnce, false),
        sent(5, InFlightFrom::Own(Some(Box::new(own))), QoS::ExactlyOnce, false),
        sent(6, InFlightFrom::Own(None), QoS::ExactlyOnce, true),
    ]
}

fn subscription(
    session: SessionId,
    number: u32,
    kind: SubscriptionKind,
    group: Option<&str>,
    filter: &str,
) -> SubscriptionRecord {
    SubscriptionRecord {
        session,
        number,
        kind,
        group: group.map(str::to_owned),
        filter: filter.to_owned(),
        qos: if number == 2 {
            QoS::AtLeastOnce
        } else {
            QoS::ExactlyOnce
        },
        no_local: number == 1,
        retain_as_published: number == 3,
        id: (number == 900).then_some(268_435_455),
        since: Position(u64::from(number)),
        selector: None,
    }
}

fn record(kind: ChannelKind, topic: &str, payload: String) -> Record {
    Record {
        kind,
        topic: topic.to_owned(),
        payload: payload.into_bytes(),
        properties: Vec::new(),
    }
}

fn message(topic: &str, properties: &[u8], payload: &[u8], qos: QoS, retain: bool) -> Message {
    let parts = MessageParts {
        topic,
        properties,
        payload,
        qos,
        retain,
        expiry_secs: Some(u32::MAX),
        received: NOW,
    };
    Message::new(parts, Some(ClientId::from("publisher")))
}

fn packet_id(number: u16) -> PacketId {
    PacketId::new(number).expect("not zero")
}

/// Longer than a key can be.
fn long_topic() -> String {
    format!("long/{}", "x".repeat(1_000))
}
