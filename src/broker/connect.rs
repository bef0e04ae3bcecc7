//! CONNECT: who may come in, and which session it gets.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::AHashMap;

use super::Broker;
use super::client::Client;
use super::outbox::{Outbox, OutboxLimits};
use super::sessions::Found;
use super::turn::Turn;
use super::will::Will;
use crate::codec::{ConnAck, Connect, Packet};
use crate::config::DuplicateClientId;
use crate::metrics::{DropReason, RefusalReason};
use crate::session::{Fault, LinkOptions, Session};
use crate::topic::check_topic_name;
use crate::types::{ClientId, ReasonCode, Timestamp, Version};

/// A CONNECT that is refused: what to answer, and why for the log.
#[derive(Debug)]
pub struct Refused {
    /// The answer.
    pub connack: Box<ConnAck>,
    /// How it is counted.
    pub reason: RefusalReason,
}

impl Broker {
    /// Lets a client in: takes over or waits for an older connection of the same identifier, continues or begins the
    /// session, and writes CONNACK. The client must be given back with `disconnect`.
    pub async fn connect(&self, mut connect: Connect) -> Result<Box<Client>, Refused> {
        self.admit(&connect)?;
        let assigned_id = connect.client_id.is_empty();
        let client_id: ClientId = if assigned_id {
            self.new_client_id()?
        } else {
            connect.client_id.as_str().into()
        };
        let outbox = Outbox::new(client_id.clone(), self.router.new_subscriber_id(), self.outbox_limits());
        let found = self.claim(&client_id, &outbox).await?;
        let now = self.clock.now();
        let options = self.link_options(&connect);
        let mut turn = Turn::default();
        let (mut client, session_present) = match found {
            Some((earlier, will)) if !connect.clean_start => {
                // The new connection comes before the will's delay is over: no will [MQTT-3.1.3-9].
                drop(will);
                (self.resume(*earlier, options), true)
            }
            found => {
                if let Some((earlier, will)) = found {
                    self.end_session(*earlier, will, now, &mut turn);
                    self.sessions.replace(&client_id, &outbox);
                }
                (new_client(Session::new(client_id, options), outbox), false)
            }
        };
        client.turn = turn;
        client.assigned_id = assigned_id;
        client.session_expiry_secs = self.session_expiry(&connect);
        let id = client.session.client_id().clone();
        client.will = connect.will.take().map(|will| Will::new(will, id));
        let connack = self.connack(&connect, &client, session_present);
        client.write(Packet::ConnAck(Box::new(connack)));
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.metrics.connections.increment(1);
        self.metrics.connections_total.increment(1);
        self.count_sessions();
        self.flush(&mut client.turn);
        Ok(Box::new(client))
    }

    fn admit(&self, connect: &Connect) -> Result<(), Refused> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(Refused::new(
                ReasonCode::ServerUnavailable,
                RefusalReason::Stopping,
                "the broker is stopping",
            ));
        }
        let full = self
            .config
            .session
            .max_connections
            .is_some_and(|max| self.connections.load(Ordering::Relaxed) >= max);
        if full {
            return Err(Refused::new(
                ReasonCode::QuotaExceeded,
                RefusalReason::Limit,
                "as many clients as allowed are connected",
            ));
        }
        if connect.authentication_method.is_some() {
            let why = "this broker offers no enhanced authentication";
            return Err(Refused::new(
                ReasonCode::BadAuthenticationMethod,
                RefusalReason::Protocol,
                why,
            ));
        }
        if connect.client_id.is_empty() && !self.config.session.allow_zero_length_client_id {
            let why = "a client identifier is required here";
            return Err(Refused::new(
                ReasonCode::ClientIdentifierNotValid,
                RefusalReason::ClientId,
                why,
            ));
        }
        if let Some(will) = &connect.will
            && check_topic_name(&will.topic).is_err()
        {
            return Err(Refused::new(
                ReasonCode::TopicNameInvalid,
                RefusalReason::Protocol,
                "the will's topic is no topic",
            ));
        }
        Ok(())
    }

    /// Gets hold of the client identifier, and of the session under it that waits for its client.
    async fn claim(
        &self,
        client_id: &ClientId,
        outbox: &Arc<Outbox>,
    ) -> Result<Option<(Box<Client>, Option<Will>)>, Refused> {
        loop {
            let other = match self.sessions.claim(client_id, outbox) {
                Found::Nothing => return Ok(None),
                Found::Absent(client, will) => return Ok(Some((client, will))),
                Found::Online(other) => other,
            };
            if self.config.session.duplicate_client_id == DuplicateClientId::Reject {
                let why = "another client with this identifier is connected";
                return Err(Refused::new(
                    ReasonCode::ClientIdentifierNotValid,
                    RefusalReason::DuplicateClientId,
                    why,
                ));
            }
            let released = other.released().notified();
            tokio::pin!(released);
            released.as_mut().enable();
            if self.sessions.is_online(client_id, &other) {
                // [MQTT-3.1.4-3]
                other.order(Fault::new(
                    ReasonCode::SessionTakenOver,
                    "another connection took the session over",
                ));
                released.await;
            }
        }
    }

    fn resume(&self, mut client: Client, options: LinkOptions) -> Client {
        client.session.resume(options);
        client.outbox.begin_connection();
        for membership in &client.groups {
            membership.group.connect(&client.outbox);
        }
        client
    }

    fn link_options(&self, connect: &Connect) -> LinkOptions {
        let session = &self.config.session;
        LinkOptions {
            version: connect.version,
            client_receive_maximum: connect.receive_maximum.unwrap_or(u16::MAX).min(session.max_inflight),
            client_maximum_packet_size: connect.maximum_packet_size.unwrap_or(u32::MAX),
            client_topic_alias_maximum: connect.topic_alias_maximum.unwrap_or(0),
            problem_information: connect.request_problem_information.unwrap_or(true),
            server_receive_maximum: session.receive_maximum,
            server_topic_alias_maximum: session.topic_alias_maximum,
        }
    }

    /// Seconds; `u32::MAX` is for ever.
    pub(super) fn session_expiry(&self, connect: &Connect) -> u32 {
        let asked = match connect.version {
            Version::V5 => connect.session_expiry_secs.unwrap_or(0),
            Version::V3 if connect.clean_start => 0,
            Version::V3 => u32::MAX,
        };
        self.granted_expiry(asked)
    }

    /// The Session Expiry Interval that is granted where `asked` was asked for, seconds.
    pub(super) fn granted_expiry(&self, asked: u32) -> u32 {
        let max = self
            .config
            .session
            .max_expiry
            .map_or(u64::from(u32::MAX), |max| max.as_secs());
        asked.min(u32::try_from(max).unwrap_or(u32::MAX))
    }

    pub(super) fn outbox_limits(&self) -> OutboxLimits {
        let session = &self.config.session;
        let size = |limit: Option<u64>| limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        OutboxLimits {
            qos0_bytes: size(Some(session.outbox_bytes)),
            max_messages: size(session.max_queued_messages),
            max_bytes: size(session.max_queued_bytes),
        }
    }

    fn new_client_id(&self) -> Result<ClientId, Refused> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|fault| {
            tracing::error!(%fault, "no random bytes for a client identifier");
            Refused::new(
                ReasonCode::ServerUnavailable,
                RefusalReason::ClientId,
                "no client identifier could be made",
            )
        })?;
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("auto-{digits}").as_str().into())
    }

    fn connack(&self, connect: &Connect, client: &Client, session_present: bool) -> ConnAck {
        let mut connack = ConnAck::new(ReasonCode::Success);
        connack.session_present = session_present;
        if connect.version == Version::V3 {
            return connack;
        }
        let session = &self.config.session;
        connack.assigned_client_id = client.assigned_id.then(|| client.client_id().to_owned());
        connack.receive_maximum = Some(session.receive_maximum);
        connack.maximum_packet_size = Some(session.max_packet_size);
        connack.topic_alias_maximum = Some(session.topic_alias_maximum);
        let granted = client.session_expiry_secs;
        connack.session_expiry_secs = (granted != connect.session_expiry_secs.unwrap_or(0)).then_some(granted);
        let keep_alive = self.keep_alive_secs(connect);
        connack.server_keep_alive_secs = (keep_alive != connect.keep_alive_secs).then_some(keep_alive);
        connack
    }

    /// The keep-alive of the connection, seconds; 0 is off. An MQTT 3.1.1 client cannot be told another.
    pub fn keep_alive_secs(&self, connect: &Connect) -> u16 {
        let asked = connect.keep_alive_secs;
        let Some(max) = self
            .config
            .session
            .max_keep_alive
            .filter(|_| connect.version == Version::V5)
        else {
            return asked;
        };
        let max = u16::try_from(max.as_secs()).unwrap_or(u16::MAX);
        if asked == 0 { max } else { asked.min(max) }
    }

    /// Ends a session that nobody continues: its will goes out now.
    pub(super) fn end_session(&self, mut client: Client, will: Option<Will>, now: Timestamp, turn: &mut Turn) {
        if let Some(will) = will {
            self.publish_will(&will, now, turn);
        }
        let unacknowledged = client.session.in_flight_without_cursor() + client.outbox.waiting();
        self.metrics
            .dropped
            .of(DropReason::SessionEnded)
            .increment(unacknowledged as u64);
        self.leave_all(&mut client);
        self.flush(&mut client.turn);
        self.count_sessions();
    }
}

impl Refused {
    fn new(code: ReasonCode, reason: RefusalReason, why: &str) -> Self {
        let mut connack = ConnAck::new(code);
        connack.reason_string = Some(why.to_owned());
        Self {
            connack: Box::new(connack),
            reason,
        }
    }
}

fn new_client(session: Session, outbox: Arc<Outbox>) -> Client {
    Client {
        session,
        outbox,
        subscriptions: AHashMap::new(),
        replays: Vec::new(),
        groups: Vec::new(),
        held: Default::default(),
        waiting: Default::default(),
        unwritten: Default::default(),
        commits_awaited: 0,
        acks: Vec::new(),
        next_ack: 0,
        next_key: 0,
        will: None,
        session_expiry_secs: 0,
        assigned_id: false,
        turn: Turn::default(),
        tally: Default::default(),
    }
}
