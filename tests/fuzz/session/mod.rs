//! Target: one session under packets, deliveries, commits, lost connections, restarts and time, as its input says,
//! against plain bookkeeping of what MQTT promises to the client.

mod disk;
mod publisher;
mod script;
mod subscriber;

use std::time::Duration;

use rewindmq::codec::{self, Ack, DecodeLimits, Packet, SubAck};
use rewindmq::session::{Action, LinkOptions, PublishOutcome, PublishToken, Session, Source};
use rewindmq::types::{PacketId, ReasonCode, Sequence, Timestamp, Version};

use disk::Disk;
use publisher::Publisher;
use script::Script;
use subscriber::Subscriber;

/// Runs one input; its bytes are the script. Returns how many packets went either way.
pub fn run(input: &[u8]) -> usize {
    let mut script = Script::new(input);
    let mut world = World::new(&mut script);
    while !script.is_over() && world.packets < MAX_PACKETS {
        world.step(&mut script);
        world.read();
    }
    if world.honest {
        world.finish();
    }
    world.packets
}

struct World {
    session: Session,
    now: Timestamp,
    durable: bool,
    /// Whether the client keeps to the protocol. One that does not may get nonsense, but the promises to others hold.
    honest: bool,
    publisher: Publisher,
    subscriber: Subscriber,
    disk: Disk,
    packets: usize,
}

impl World {
    fn new(script: &mut Script) -> Self {
        let flags = script.byte();
        let durable = flags & 1 != 0;
        let options = script.options(None);
        Self {
            session: session(options, durable),
            now: START,
            durable,
            honest: flags & 2 == 0,
            publisher: Publisher::default(),
            subscriber: Subscriber::new(options),
            disk: Disk::default(),
            packets: 0,
        }
    }

    fn step(&mut self, script: &mut Script) {
        match script.below(16) {
            0 => self.reconnect(script),
            1 if self.durable => self.restart(script),
            1 | 2 => self.now = self.now.saturating_add(Duration::from_secs(script.byte().into())),
            3..=5 => self.offer(script),
            6 | 7 => self.tell_outcome(script),
            8 if self.durable => self.disk.submit(&self.session),
            8..=10 => self.commit(),
            11 => self.ask(script),
            12 if !self.honest => self.lie(script),
            12 | 13 => {
                if let Some(packet) = self.publisher.packet(script, self.honest) {
                    packet.with(|packet| self.handle(packet, script.byte()));
                }
            }
            _ => {
                if let Some(packet) = self.subscriber.answer(script, self.honest) {
                    self.handle(packet, 0);
                }
            }
        }
        self.go_on();
    }

    /// The client sends a packet.
    fn handle(&mut self, packet: Packet<'_>, choice: u8) {
        self.packets += 1;
        self.subscriber.sends(&packet);
        let unacknowledged_before = self.session.unacknowledged();
        let publish = match &packet {
            Packet::Publish(publish) => publish.packet_id.map(|id| (id, publish.qos)),
            _ => None,
        };
        let release = match &packet {
            Packet::PubRel(ack) => Some(ack.packet_id),
            _ => None,
        };
        let limit = usize::from(self.session.options().server_receive_maximum);
        match self.session.handle_packet(packet) {
            Ok(Action::Publish(incoming)) => {
                self.publisher.is_new(publish, incoming.token);
                if self.session.version() == Version::V5 && publish.is_some() {
                    assert!(self.session.unacknowledged() <= limit, "Receive Maximum of the server");
                }
            }
            Ok(Action::None) => {
                if let Some(id) = release.filter(|_| !self.durable) {
                    self.publisher.forget(id);
                }
                if let Some((id, qos)) = publish {
                    self.publisher.is_known(id, qos);
                    // A refusal that waits for its turn counts as well.
                    let more = self.session.unacknowledged() - unacknowledged_before;
                    assert!(more <= usize::from(qos == rewindmq::types::QoS::AtLeastOnce));
                    assert!(self.session.unacknowledged() <= limit.max(unacknowledged_before));
                }
            }
            Ok(Action::Acked(source)) => self.finish_source(source),
            Ok(Action::Release(id)) => self.publisher.releasing.push(id),
            Ok(Action::Subscribe(subscribe)) => {
                let reasons = subscribe.filters.iter().map(|_| ReasonCode::GrantedQoS1).collect();
                self.session.write(Packet::SubAck(answer(subscribe.packet_id, reasons)));
            }
            Ok(Action::Unsubscribe(unsubscribe)) => {
                let reasons = unsubscribe.filters.iter().map(|_| ReasonCode::Success).collect();
                self.session
                    .write(Packet::UnsubAck(answer(unsubscribe.packet_id, reasons)));
            }
            Ok(Action::Auth(auth)) => panic!("nobody authenticates here: {auth:?}"),
            Ok(Action::Disconnect(_)) | Err(_) => self.connect_again(options_of(&self.session, choice)),
        }
    }

    /// A packet that only a client sends who has read nothing.
    fn lie(&mut self, script: &mut Script) {
        let version = self.session.version();
        let bytes = script.bytes();
        let limits = DecodeLimits { max_packet_size: 4_096 };
        if let Ok(Some((packet, _))) = codec::decode(bytes, Some(version), &limits) {
            self.handle(packet, 0);
        }
    }

    fn ask(&mut self, script: &mut Script) {
        let packet = match script.below(4) {
            0 => Packet::PingReq,
            _ if self.durable => return,
            _ => {
                // Another goes on with what this subscription was reading.
                let gone = self.subscriber.give_up();
                self.session.forget_in_flight(|source| Some(source) == gone);
                return;
            }
        };
        self.handle(packet, 0);
    }

    fn tell_outcome(&mut self, script: &mut Script) {
        let choice = script.byte();
        let Some(token) = self.publisher.next_token(choice) else {
            return;
        };
        let outcome = match choice % 4 {
            0 => PublishOutcome::refused(ReasonCode::QuotaExceeded, "full"),
            1 => PublishOutcome {
                sequence: Some(Sequence(u64::from(choice))),
                ..PublishOutcome::accepted()
            },
            _ => PublishOutcome::accepted(),
        };
        self.outcome(token, outcome);
    }

    fn outcome(&mut self, token: PublishToken, outcome: PublishOutcome) {
        self.publisher.outcome(token, !outcome.reason.is_error());
        if self.session.handle_outcome(token, outcome).is_err() {
            assert_eq!(self.session.version(), Version::V3, "MQTT 5 has a code for it");
            self.connect_again(options_of(&self.session, token.0 as u8));
        }
    }

    /// The broker has messages for the client, and takes notice of what it waits for.
    fn offer(&mut self, script: &mut Script) {
        let mut next = script.message(self.now);
        if self.durable && next.qos > 0 {
            next.source = subscriber::FromWhere::Log;
            self.disk.log.push(next);
        } else if self.session.resend_is_complete() {
            self.subscriber.offer(&mut self.session, next, self.now);
        }
    }

    /// What the broker does by itself: send again, and send what the log has.
    fn go_on(&mut self) {
        let done = self.session.resend(self.now, 4_096);
        done.into_iter().for_each(|source| self.finish_source(source));
        while self.session.resend_is_complete() {
            let Some((position, message)) = self.disk.next(&self.session) else {
                return;
            };
            match self.subscriber.send(&mut self.session, position, message, self.now) {
                subscriber::Went::Out => self.disk.sent_to = position,
                subscriber::Went::Nowhere => {
                    self.disk.sent_to = position;
                    self.disk.done.insert(position);
                }
                subscriber::Went::Back => return,
            }
        }
    }

    fn commit(&mut self) {
        if self.durable
            && let Some(changes) = self.disk.commit()
        {
            let done = self.session.saved(changes, self.now);
            done.into_iter().for_each(|source| self.finish_source(source));
        }
        let gone = !self.packets.is_multiple_of(5);
        if let Some(id) = self.publisher.released(gone) {
            self.session.handle_released(id, gone);
        }
    }

    fn finish_source(&mut self, source: Source) {
        if let Source::Session(position) = source {
            self.disk.done.insert(position.0);
        }
        self.subscriber.finished(source);
    }

    fn reconnect(&mut self, script: &mut Script) {
        // What stands in the output may have reached the client, or not.
        if script.below(2) == 0 {
            self.read();
        }
        let options = script.options(self.fixed_options());
        self.connect_again(options);
    }

    /// A client that keeps to the protocol also keeps what makes a message too large.
    fn fixed_options(&self) -> Option<LinkOptions> {
        self.honest.then_some(*self.session.options())
    }

    /// The connection is lost, and a new one continues the session.
    fn connect_again(&mut self, options: LinkOptions) {
        self.session.connection_lost();
        if self.durable {
            // CONNACK waits for a later row than any of these.
            while self.disk.commit().is_some() {}
            self.disk.submit(&self.session);
            self.disk.commit();
            let places = self.session.unload();
            self.disk.load(&mut self.session, places);
        }
        self.session.resume(options);
        self.publisher.connection_lost();
        self.subscriber.connection_lost(options);
    }

    /// The broker is killed: what is on disk is all there is.
    fn restart(&mut self, script: &mut Script) {
        if script.below(2) == 0 {
            self.read();
        }
        let options = script.options(self.fixed_options());
        let received = self.publisher.broker_killed(script.byte());
        self.session = session(options, true);
        let places = self.disk.broker_killed(script.byte());
        self.subscriber.broker_killed();
        self.session.restore(received, self.disk.last_packet_id());
        self.disk.load(&mut self.session, places);
        self.session.resume(options);
        self.publisher.connection_lost();
        self.subscriber.connection_lost(options);
    }

    /// Reads what the session wrote, as the client does.
    fn read(&mut self) {
        let bytes = std::mem::take(self.session.output()).freeze();
        let options = *self.session.options();
        let limits = DecodeLimits {
            max_packet_size: options.client_maximum_packet_size,
        };
        let disk = self.durable.then_some(&self.disk);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let decoded = codec::decode_from_server(rest, options.version, &limits);
            let Ok(Some((packet, len))) = decoded else {
                panic!("the client cannot read {rest:02X?}: {decoded:?}");
            };
            rest = &rest[len..];
            self.packets += 1;
            match packet {
                Packet::PubAck(ack) => self.publisher.acknowledged(&ack),
                Packet::PubRec(ack) => self.publisher.received(&ack, self.honest),
                Packet::PubComp(ack) => self.publisher.completed(ack.packet_id),
                Packet::Publish(publish) => self.subscriber.came(&publish, self.honest, disk),
                Packet::PubRel(ack) => self.subscriber.released(&ack, self.honest, disk),
                Packet::PingResp | Packet::SubAck(_) | Packet::UnsubAck(_) => {}
                other => panic!("the session wrote {other:?}"),
            }
        }
        let quota = self.session.send_quota();
        assert!(
            quota <= options.client_receive_maximum,
            "more quota than Receive Maximum"
        );
        if self.honest {
            self.subscriber.keeps_receive_maximum();
        }
    }

    /// Everything comes to its end.
    fn finish(&mut self) {
        while self.durable && self.disk.is_behind() {
            self.commit();
        }
        let rounds = 4 * (self.disk.log.len() + self.session.in_flight() + self.publisher.tokens()) + 16;
        let mut script = Script::new(&[]);
        for _ in 0..rounds {
            while let Some(token) = self.publisher.next_token(0) {
                self.outcome(token, PublishOutcome::accepted());
            }
            if self.durable {
                self.disk.submit(&self.session);
                self.commit();
            }
            self.go_on();
            self.read();
            if let Some(packet) = self.subscriber.answer(&mut script, true) {
                self.handle(packet, 0);
            }
        }
        assert_eq!(self.session.in_flight(), 0, "still in flight");
        let receive_maximum = self.session.options().client_receive_maximum;
        assert_eq!(self.session.send_quota(), receive_maximum, "quota");
        self.publisher.is_answered();
        self.subscriber.has_everything(&self.disk);
    }
}

fn session(options: LinkOptions, durable: bool) -> Session {
    let mut session = Session::new("client".into(), options);
    if durable {
        session.make_durable();
    }
    session
}

/// Options for the next connection where the script does not come into it.
fn options_of(session: &Session, choice: u8) -> LinkOptions {
    LinkOptions {
        client_receive_maximum: u16::from(choice % 4) + 1,
        ..*session.options()
    }
}

fn answer(packet_id: PacketId, reasons: Vec<ReasonCode>) -> SubAck {
    SubAck {
        packet_id,
        reasons,
        reason_string: Some("why".into()),
        user_properties: Vec::new(),
    }
}

fn ack(packet_id: PacketId, refuse: bool) -> Ack {
    let reason = if refuse {
        ReasonCode::UnspecifiedError
    } else {
        ReasonCode::Success
    };
    Ack::new(packet_id, reason)
}

const START: Timestamp = Timestamp(1_700_000_000_000_000_000);
/// Where a script ends that does not end.
const MAX_PACKETS: usize = 4_000;
