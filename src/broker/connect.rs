//! CONNECT: who may come in, and which session it gets.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::arrival::Arrival;
use super::authenticate::{Authenticated, Credentials};
use super::client::{Client, Reached};
use super::durable::Durable;
use super::outbox::{Outbox, OutboxLimits};
use super::promise::Promise;
use super::sessions::{Absent, Found};
use super::turn::Turn;
use super::will::Will;
use super::{Broker, LogTag};
use crate::codec::{self, ConnAck, Connect, Packet};
use crate::config::DuplicateClientId;
use crate::log::Command;
use crate::metrics::{DropReason, Limit, RefusalReason};
use crate::session::{Fault, LinkOptions, Session};
use crate::topic::check_topic_name;
use crate::types::{ClientId, Rare, ReasonCode, SessionId, SmallMap, Timestamp, Version};

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
    /// session, and writes CONNACK when that is on disk. The client must be given back with `disconnect`. `authenticated`
    /// is who it proved to be, by an exchange or by what [`Broker::log_in`] looked at.
    pub async fn connect(
        &self,
        connect: Connect,
        arrival: &Arrival,
        authenticated: Option<Authenticated>,
    ) -> Result<Box<Client>, Refused> {
        self.admit(&connect, arrival, authenticated.as_ref())?;
        let assigned_id = connect.client_id.is_empty();
        let client_id: ClientId = if assigned_id {
            self.new_client_id()?
        } else {
            connect.client_id.as_str().into()
        };
        self.check_connack_fits(
            &connect,
            assigned_id.then_some(client_id.as_str()),
            authenticated.as_ref(),
        )?;
        let durable = self.session_expiry(&connect) > 0;
        let subscriber = self.router.new_subscriber_id();
        let outbox = Outbox::new(client_id.clone(), subscriber, self.outbox_limits(), durable);
        let proved = authenticated.as_ref().map(|authenticated| &authenticated.identity);
        let identity = proved.or(arrival.certificate.as_ref());
        if let Some(identity) = identity {
            outbox.own(identity.clone());
        }
        outbox.access.set_identity(identity.cloned(), true);
        self.admit_will(&connect, &outbox)?;
        let found = self.claim(&client_id, &outbox).await?;
        let now = self.clock.now();
        let options = self.link_options(&connect);
        let mut entry = match found {
            Some(absent) if !connect.clean_start && !absent.is_over(now) => {
                // Before routes are made for it: its groups and claims may be others than before.
                absent.client.outbox.access.set_identity(identity.cloned(), true);
                self.resume(absent, options, now)?
            }
            found => self.begin(found, &client_id, &outbox, options, now),
        };
        entry.client.assigned_id = assigned_id;
        entry.client.reached = Some(Reached {
            peer: arrival.peer,
            gate: arrival.gate.clone(),
            since: now,
        });
        // A session that was nobody's is the newcomer's from now on.
        if let Some(identity) = identity {
            entry.client.outbox.own(identity.clone());
        }
        entry.client.guard = None;
        if arrival.gate.unrestricted {
            entry.client.outbox.access.lift();
        }
        if let Err(refused) = self.enter(&mut entry, &connect).await {
            self.sessions.release(&client_id);
            outbox.released().notify_waiters();
            return Err(refused);
        }
        let Entry {
            mut client,
            session_present,
            ..
        } = entry;
        let assigned_id = client.assigned_id.then(|| client.client_id());
        let connack = ConnAck {
            session_present,
            ..self.new_connack(&connect, assigned_id, authenticated.as_ref())
        };
        let until = authenticated.as_ref().and_then(|authenticated| authenticated.until);
        client.valid_until = until.and_then(|until| NonZeroU64::new(until.0));
        client.credentials = identity
            .filter(|_| connect.authentication_method.is_some())
            .map(|identity| Box::new(Credentials::new(identity.clone())));
        client.write(Packet::ConnAck(Box::new(connack)));
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.metrics.connections.increment(1);
        self.metrics.connections_total.increment(1);
        self.count_sessions();
        Ok(Box::new(client))
    }

    /// Continues a session. If its messages in flight cannot be read, it goes on waiting for its client.
    fn resume(&self, absent: Absent, options: LinkOptions, now: Timestamp) -> Result<Entry, Refused> {
        let Absent {
            mut client,
            expires,
            will,
        } = absent;
        if let Err(fault) = self.load_in_flight(&mut client) {
            tracing::error!(client = client.client_id(), %fault, "what is in flight cannot be read");
            let outbox = client.outbox.clone();
            self.sessions.park(client, expires, will);
            outbox.released().notify_waiters();
            let why = "the messages of the session cannot be read from the store";
            return Err(Refused::new(ReasonCode::ServerUnavailable, RefusalReason::Store, why));
        }
        client.session.resume(options);
        client.outbox.set_version(options.version);
        client.outbox.begin_connection();
        self.router.touch();
        // Whatever passed the session by before the router knew is in the log by now.
        client.outbox.note(self.reader.watermark());
        for membership in client.groups.iter() {
            membership.group.connect(&client.outbox);
        }
        if let Some((due, will)) = will
            && due <= now
        {
            let saved = client.saved_will();
            let mut turn = std::mem::take(&mut client.turn);
            self.publish_will(&will, &client.outbox, saved, now, &mut turn);
            client.turn = turn;
        }
        // Otherwise the new connection comes before the will's delay is over: no will [MQTT-3.1.3-9].
        Ok(Entry {
            client,
            session_present: true,
            ended: false,
        })
    }

    /// Begins a session; one that was there ends.
    fn begin(
        &self,
        found: Option<Absent>,
        client_id: &ClientId,
        outbox: &Arc<Outbox>,
        options: LinkOptions,
        now: Timestamp,
    ) -> Entry {
        let mut turn = Turn::default();
        let ended = found.is_some();
        if let Some(Absent { client, will, .. }) = found {
            let discarded = client.outbox.clone();
            self.end_session(client, will.map(|(_, will)| will), now, &mut turn);
            self.sessions.replace(client_id, outbox);
            // Who waits for the session that was there is to look again.
            discarded.released().notify_waiters();
        }
        outbox.set_version(options.version);
        let mut client = new_client(Session::new(client_id.clone(), options), outbox.clone());
        client.turn = turn;
        if outbox.durable {
            let id = SessionId(self.next_session.fetch_add(1, Ordering::Relaxed));
            let floor = self.reader.watermark();
            client.session.make_durable();
            client.outbox.set_floor(floor);
            client.outbox.open_place(floor);
            client.durable = Some(Box::new(Durable::new(id, now, floor)));
        }
        Entry {
            client,
            session_present: false,
            ended,
        }
    }

    /// Takes over what CONNECT says, and waits until what that changes is on disk.
    async fn enter(&self, entry: &mut Entry, connect: &Connect) -> Result<(), Refused> {
        let client = &mut entry.client;
        client.session_expiry_secs = self.session_expiry(connect);
        let id = client.session.client_id().clone();
        client.will = connect.will.clone().map(|will| Box::new(Will::new(will, id)));
        let mut commands = Vec::from_iter(client.session_command(None));
        if !entry.session_present
            && let Some(durable) = &client.durable
        {
            let place = durable.record(&client.session);
            commands.push(Command::SavePlace(Box::new(place)));
        }
        commands.extend(client.will_command(self.clock.now()));
        if commands.is_empty() && entry.ended {
            commands.push(Command::Flush);
        }
        let Some(last) = commands.pop() else {
            self.flush(&mut client.turn);
            return Ok(());
        };
        client.turn.submit_unawaited(commands);
        let (promise, kept) = Promise::new();
        client.turn.submit(last, LogTag::Awaited(promise));
        self.flush(&mut client.turn);
        let why = match kept.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why,
            Err(_) => "the broker is stopping".to_owned(),
        };
        if client.durable.is_some() && !entry.session_present {
            let why = format!("the session cannot be kept: {why}");
            return Err(Refused::new(ReasonCode::ServerUnavailable, RefusalReason::Store, &why));
        }
        // What was kept before is still there: the client may read on.
        tracing::error!(
            client = client.client_id(),
            reason = why,
            "CONNECT could not be noted on disk"
        );
        Ok(())
    }

    /// Whether the client may publish its will.
    fn admit_will(&self, connect: &Connect, outbox: &Outbox) -> Result<(), Refused> {
        let Some(will) = &connect.will else { return Ok(()) };
        let checked = self.check_will(outbox, &will.topic, &will.properties);
        checked.map_err(|refusal| Refused::new(refusal.reason, RefusalReason::Will, refusal.why))
    }

    fn admit(
        &self,
        connect: &Connect,
        arrival: &Arrival,
        authenticated: Option<&Authenticated>,
    ) -> Result<(), Refused> {
        if authenticated.is_none() && !arrival.gate.anonymous.may_enter(self.config().auth.is_configured()) {
            let why = "this listener lets in only clients that authenticate";
            return Err(Refused::new(
                ReasonCode::NotAuthorized,
                RefusalReason::Authentication,
                why,
            ));
        }
        if self.stopping.load(Ordering::Acquire) {
            return Err(Refused::new(
                ReasonCode::ServerUnavailable,
                RefusalReason::Stopping,
                "the broker is stopping",
            ));
        }
        let full = self
            .config()
            .session
            .max_connections
            .is_some_and(|max| self.connections.load(Ordering::Relaxed) >= max);
        if full {
            self.metrics.limited.of(Limit::Connections).increment(1);
            return Err(Refused::new(
                ReasonCode::QuotaExceeded,
                RefusalReason::Limit,
                "as many clients as allowed are connected",
            ));
        }
        if connect.authentication_method.is_some() && authenticated.is_none() {
            let why = "the authentication that CONNECT asks for has not taken place";
            return Err(Refused::new(
                ReasonCode::NotAuthorized,
                RefusalReason::Authentication,
                why,
            ));
        }
        if connect.client_id.is_empty() && !self.config().session.allow_zero_length_client_id {
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
        self.check_connect(connect)
    }

    /// Gets hold of the client identifier, and of the session under it that waits for its client.
    async fn claim(&self, client_id: &ClientId, outbox: &Arc<Outbox>) -> Result<Option<Absent>, Refused> {
        loop {
            let max = self.config().limits.max_sessions;
            let other = match self.sessions.claim(client_id, outbox, max) {
                Found::Nothing => return Ok(None),
                Found::Absent(absent) => return Ok(Some(*absent)),
                Found::Online(other) => other,
                Found::Full => {
                    self.metrics.limited.of(Limit::Sessions).increment(1);
                    let why = "there are as many sessions as allowed (limits.max_sessions)";
                    return Err(Refused::new(ReasonCode::QuotaExceeded, RefusalReason::Limit, why));
                }
                Found::Foreign => {
                    let why = "the session of this client identifier belongs to another user";
                    return Err(Refused::new(
                        ReasonCode::NotAuthorized,
                        RefusalReason::Authentication,
                        why,
                    ));
                }
            };
            // One that is not connected any more is about to leave the identifier.
            if self.config().session.duplicate_client_id == DuplicateClientId::Reject && other.is_connected() {
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

    fn link_options(&self, connect: &Connect) -> LinkOptions {
        let config = self.config();
        let session = &config.session;
        LinkOptions {
            version: connect.version,
            client_receive_maximum: connect.receive_maximum.unwrap_or(u16::MAX).min(session.max_inflight),
            client_maximum_packet_size: connect.maximum_packet_size.unwrap_or(u32::MAX),
            client_topic_alias_maximum: connect.topic_alias_maximum.unwrap_or(0),
            problem_information: connect.request_problem_information.unwrap_or(true),
            server_receive_maximum: session.receive_maximum,
            server_topic_alias_maximum: session.topic_alias_maximum,
            enhanced_authentication: connect.authentication_method.is_some(),
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
            .config()
            .session
            .max_expiry
            .map_or(u64::from(u32::MAX), |max| max.as_secs());
        asked.min(u32::try_from(max).unwrap_or(u32::MAX))
    }

    pub(super) fn outbox_limits(&self) -> OutboxLimits {
        let config = self.config();
        let session = &config.session;
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

    /// A client that cannot take what it has to be told is let in nowhere [MQTT-3.1.2-24].
    fn check_connack_fits(
        &self,
        connect: &Connect,
        assigned_id: Option<&str>,
        authenticated: Option<&Authenticated>,
    ) -> Result<(), Refused> {
        let Some(largest) = connect.maximum_packet_size else {
            return Ok(());
        };
        let connack = ConnAck {
            user_properties: Vec::new(),
            ..self.new_connack(connect, assigned_id, authenticated)
        };
        let len = codec::encoded_len(&Packet::ConnAck(Box::new(connack)), connect.version);
        if len.is_ok_and(|len| len <= largest as usize) {
            return Ok(());
        }
        let why = "CONNACK is larger than the Maximum Packet Size of the client";
        Err(Refused::new(ReasonCode::PacketTooLarge, RefusalReason::Protocol, why))
    }

    fn new_connack(
        &self,
        connect: &Connect,
        assigned_id: Option<&str>,
        authenticated: Option<&Authenticated>,
    ) -> ConnAck {
        let mut connack = ConnAck::new(ReasonCode::Success);
        if connect.version == Version::V3 {
            return connack;
        }
        let config = self.config();
        let session = &config.session;
        connack.assigned_client_id = assigned_id.map(str::to_owned);
        if let Some(authenticated) = authenticated.filter(|_| connect.authentication_method.is_some()) {
            // [MQTT-4.12.0-5]
            connack.authentication_method.clone_from(&connect.authentication_method);
            connack.authentication_data = Some(authenticated.data.clone());
        }
        connack.receive_maximum = Some(session.receive_maximum);
        connack.maximum_packet_size = Some(session.max_packet_size);
        connack.topic_alias_maximum = Some(session.topic_alias_maximum);
        let granted = self.session_expiry(connect);
        connack.session_expiry_secs = (granted != connect.session_expiry_secs.unwrap_or(0)).then_some(granted);
        let keep_alive = self.keep_alive_secs(connect);
        let durability = (
            "durability".to_owned(),
            self.config().store.durability.name().to_owned(),
        );
        connack.user_properties.push(durability);
        connack.server_keep_alive_secs = (keep_alive != connect.keep_alive_secs).then_some(keep_alive);
        connack
    }

    /// The keep-alive of the connection, seconds; 0 is off. An MQTT 3.1.1 client cannot be told another.
    pub fn keep_alive_secs(&self, connect: &Connect) -> u16 {
        let asked = connect.keep_alive_secs;
        let Some(max) = self
            .config()
            .session
            .max_keep_alive
            .filter(|_| connect.version == Version::V5)
        else {
            return asked;
        };
        let max = u16::try_from(max.as_secs()).unwrap_or(u16::MAX);
        if asked == 0 { max } else { asked.min(max) }
    }

    /// Ends a session that nobody continues: its will goes out now, and nothing of it stays on disk.
    pub(super) fn end_session(&self, mut client: Client, will: Option<Will>, now: Timestamp, turn: &mut Turn) {
        tracing::debug!(client = client.client_id(), user = client.user(), "session ended");
        if let Some(will) = will {
            let saved = client.saved_will();
            self.publish_will(&will, &client.outbox, saved, now, turn);
        }
        if let Some(id) = client.durable_id() {
            let subscriptions = client.subscriptions.values();
            let command = Command::DeleteSession {
                id,
                subscriptions: subscriptions.map(|subscription| subscription.key.0).collect(),
                received: client.session.received(),
            };
            turn.submit(command, LogTag::None);
            client.durable = None;
        }
        let unfinished = Self::take_unfinished(&mut client);
        self.count_session_ended(unfinished.lost);
        self.leave_all(&mut client);
        self.flush(&mut client.turn);
        self.inherit(unfinished, turn);
        self.count_sessions();
    }

    /// Counts messages that nobody gets because a session has ended.
    pub(super) fn count_session_ended(&self, messages: usize) {
        let dropped = self.metrics.dropped.of(DropReason::SessionEnded);
        dropped.increment(messages as u64);
    }
}

/// A client on its way in.
struct Entry {
    client: Client,
    session_present: bool,
    /// Whether an earlier session of the identifier was ended.
    ended: bool,
}

impl Refused {
    pub(super) fn new(code: ReasonCode, reason: RefusalReason, why: &str) -> Self {
        let mut connack = ConnAck::new(code);
        connack.reason_string = Some(why.to_owned());
        Self {
            connack: Box::new(connack),
            reason,
        }
    }
}

pub(super) fn new_client(session: Session, outbox: Arc<Outbox>) -> Client {
    Client {
        session,
        outbox,
        durable: None,
        subscriptions: SmallMap::default(),
        replays: Vec::new(),
        groups: Rare::default(),
        blocked: Rare::default(),
        waiting: Default::default(),
        unwritten: Rare::default(),
        commits_awaited: 0,
        acks: Vec::new(),
        next_ack: 0,
        next_key: 0,
        guard: None,
        valid_until: None,
        credentials: None,
        will: None,
        session_expiry_secs: 0,
        assigned_id: false,
        reached: None,
        turn: Turn::default(),
        tally: Default::default(),
    }
}
